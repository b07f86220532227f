import type { Server } from 'node:net'
import { jsonAnswers, KEY_AND_JSON } from './frame-calls.js'
import { connectFrames, listenForFrames } from './net-frames.js'
import type { ListeningPeer } from './peer.js'

const LOOPBACK = '127.0.0.1'

function portOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return String(address.port)
}

export const netTcp: ListeningPeer = {
  kind: 'listening',
  name: 'net_tcp',
  about: 'net.Socket on loopback TCP with TCP_NODELAY, 64-byte frames, JSON look-ups',
  listen: (_, handler) => listenForFrames({ host: LOOPBACK, port: 0 }, portOf, jsonAnswers(handler)),
  connect: (port) => connectFrames({ host: LOOPBACK, port: Number(port) }, KEY_AND_JSON),
}
