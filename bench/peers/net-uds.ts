import { join } from 'node:path'
import { jsonAnswers, KEY_AND_JSON } from './frame-calls.js'
import { connectFrames, listenForFrames } from './net-frames.js'
import type { ListeningPeer } from './peer.js'

export const netUds: ListeningPeer = {
  kind: 'listening',
  name: 'net_uds',
  about: 'net.Socket on a Unix socket, 64-byte frames, JSON look-ups',
  listen(directory, handler) {
    const path = join(directory, 'net.sock')
    return listenForFrames({ path }, () => path, jsonAnswers(handler))
  },
  connect: (path) => connectFrames({ path }, KEY_AND_JSON),
}
