import { childIpc } from './child-ipc.js'
import { grpcUds } from './grpc-uds.js'
import { netTcp } from './net-tcp.js'
import { netUds } from './net-uds.js'
import type { ListeningPeer, Peer, PeerName } from './peer.js'
import { thriftUds } from './thrift-uds.js'
import { workerPostmessage } from './worker-postmessage.js'
import { zeromqIpc } from './zeromq-ipc.js'

/** Every peer, in the order of the tables. */
export const PEERS: readonly Peer[] = [thriftUds, grpcUds, netUds, netTcp, zeromqIpc, workerPostmessage, childIpc]

export function listeningPeer(name: PeerName): ListeningPeer {
  const peer = PEERS.find((candidate) => candidate.name === name)
  if (peer?.kind !== 'listening') throw new RangeError(`${name} has no server that others connect to`)
  return peer
}
