import { assert } from '../../base/assert.js'
import { RpcError } from '../../base/errors.js'
import { findChannel, ownChannel, removeChannel } from './channels.js'
import type { Failure } from '../protocol/errors.js'
import { attach, createHeap, describe, detach, holderOf, isOfChannel, nextId, sharesHeap, stopHolding } from './heaps.js'
import { CONNECTIONS_PER_PARTICIPANT_MAX, HEAPS_PER_OWNER_MAX, PENDING_PER_SERVER_MAX } from '../protocol/limits.js'
import type { MemoryMessage, Requests } from '../protocol/messages.js'
import { tokenOf } from './proofs.js'
import { otherEnd, type ChannelRecord, type ConnectionRecord, type Decision } from './state.js'
import type { Attachment, ConnectionEnd, ConnectionId, End, HeapId, ParticipantId, Peer } from '../protocol/types.js'

// A connection: pending until the server decides, open, ended when one end is gone, forgotten when both are.
// An end keeps its memory until it gives it back, or dies: nothing is reassigned under a living process.

/** A client asks for a connection: memory is made, the server is asked. */
export function open(decision: Decision, participant: ParticipantId, message: Requests['open']): void {
  const channel = findChannel(decision, message.channel)
  if (sharesHeap(decision, channel.heaps) && decision.participants.get(participant)?.standing === 'program') {
    throw new RpcError('PERMISSION_DENIED', 'the clients of this channel share one heap, whose writers must trust each other: a confined program of another user is not let in', { channel: channel.name })
  }
  checkRoomForConnection(decision, participant, channel)
  const id = nextId(decision) as ConnectionId
  const undo = { for: 'open', connection: id } as const
  const control = createHeap(decision, 'control', message.controlBytes, channel.name, undo)
  const own = sharesHeap(decision, channel.heaps) ? [] : [createHeap(decision, 'private', message.heapBytes, channel.name, undo)]
  const connection: ConnectionRecord = {
    id, channel: channel.name, token: tokenOf(decision, id, channel.name), stage: 'pending', request: message.id,
    client: {
      participant, control: attach(decision, control, participant, { id, end: 'client' }),
      heaps: [...own, ...channel.heaps.map(({ heap }) => heap)].map((heap) => attach(decision, heap, participant, { id, end: 'client' })),
    },
    server: {
      participant: channel.server, control: attach(decision, control, channel.server, { id, end: 'server' }),
      heaps: own.map((heap) => attach(decision, heap, channel.server, { id, end: 'server' })),
    },
  }
  decision.connections.set(id, connection)
  decision.timers.set(`pending:${id}`, { at: decision.now + message.timeoutMs, purpose: { pending: id } })
  decision.updateChannel(channel.name, (record) => ({ pending: record.pending + 1 }))
  addEnd(decision, participant, { id, end: 'client' })
  addEnd(decision, channel.server, { id, end: 'server' })
  decision.send(channel.server, {
    type: 'incoming', connection: id, channel: channel.name, token: connection.token, client: peerOf(decision, participant), info: message.info,
    ...memoryOf(decision, connection, 'server'), shared: connection.client.heaps.slice(own.length),
  }, [control, ...own])
}

function checkRoomForConnection(decision: Decision, client: ParticipantId, channel: ChannelRecord): void {
  const place = { channel: channel.name }
  if (channel.pending >= PENDING_PER_SERVER_MAX) {
    throw new RpcError('RESOURCE_EXHAUSTED', `${PENDING_PER_SERVER_MAX} clients wait for the server's decision already; try again later`, place)
  }
  for (const participant of [client, channel.server]) {
    if ((decision.participants.get(participant)?.ends.length ?? 0) < CONNECTIONS_PER_PARTICIPANT_MAX) continue
    const who = participant === client ? 'client' : 'server'
    throw new RpcError('RESOURCE_EXHAUSTED', `the ${who}'s isolate has ${CONNECTIONS_PER_PARTICIPANT_MAX} connections; close some`, place)
  }
}

export function accept(decision: Decision, participant: ParticipantId, message: Requests['accept']): void {
  const pending = decision.connections.get(message.connection)
  // Not pending any more: the server was told already that the client is gone.
  if (pending?.stage !== 'pending' || pending.server.participant !== participant) return
  const connection: ConnectionRecord = { ...pending, stage: 'open' }
  decision.connections.set(connection.id, connection)
  decided(decision, connection)
  const { control, heaps } = memoryOf(decision, connection, 'client')
  decision.send(connection.client.participant, {
    type: 'opened', id: connection.request, connection: connection.id, token: connection.token, server: peerOf(decision, participant),
    serverInfo: decision.channels.get(connection.channel)?.info ?? 'null', answer: message.answer, control, heaps,
  }, [control.heap, ...heaps.map(({ heap }) => heap)])
  letGoOfFiles(decision, connection)
}

/** The server does not want the client, and has let go of the memory that was offered to it. */
export function refuse(decision: Decision, participant: ParticipantId, message: Requests['refuse']): void {
  const connection = decision.connections.get(message.connection)
  if (connection === undefined || connection.server.participant !== participant) return
  if (connection.stage === 'open') return
  if (connection.stage === 'pending') leavePending(decision, connection, 'client', message)
  dropEnd(decision, connection.id, 'server')
}

/** The client gave up, before or after the answer left. */
export function cancel(decision: Decision, participant: ParticipantId, message: Requests['cancel']): void {
  const ends = decision.participants.get(participant)?.ends ?? []
  const found = ends.find(({ id, end }) => end === 'client' && decision.connections.get(id)?.request === message.request)
  const connection = found === undefined ? undefined : decision.connections.get(found.id)
  if (connection === undefined) return
  if (connection.stage === 'pending') {
    leavePending(decision, connection, 'client', undefined)
    decision.send(connection.server.participant, { type: 'closed', connection: connection.id, end: 'server' })
  } else {
    tellOther(decision, connection, 'client', 'closed')
    dropEnd(decision, connection.id, 'client')
  }
}

/** The server did not decide in time, or its memory could not be made: the client is told why. */
export function abandon(decision: Decision, id: ConnectionId, failure: Failure, serverWasAsked: boolean): void {
  const connection = decision.connections.get(id)
  if (connection?.stage !== 'pending') return
  leavePending(decision, connection, 'client', failure)
  if (serverWasAsked) decision.send(connection.server.participant, { type: 'closed', connection: id, end: 'server' })
  else dropEnd(decision, id, 'server')
}

/** A server gives its channel's name back: who waits for its decision is told. */
export function unregister(decision: Decision, participant: ParticipantId, message: Requests['unregister']): void {
  const { name } = ownChannel(decision, participant, message.channel)
  const failure = { code: 'UNAVAILABLE', message: 'the server closed the channel' } as const
  for (const { id, end } of decision.participants.get(participant)?.ends ?? []) {
    if (end === 'server' && decision.connections.get(id)?.channel === name) abandon(decision, id, failure, true)
  }
  removeChannel(decision, name)
  decision.send(participant, { type: 'done', id: message.id })
}

export function grow(decision: Decision, participant: ParticipantId, message: Requests['grow']): void {
  const { connection } = growing(decision, participant, { id: message.connection, end: message.end }, message.kind === 'sealable')
  const heap = createHeap(decision, message.kind, message.byteLength, connection.channel, { for: 'grow', participant, request: message.id })
  handOver(decision, connection, message.end, heap, { request: message.id, files: true })
  stopHolding(decision, heap)
}

/** The open connection that is to get another heap, and who is at its other end. Throws when it cannot have one. */
export function growing(decision: Decision, participant: ParticipantId, { id, end }: ConnectionEnd, toSeal: boolean):
{ readonly connection: ConnectionRecord, readonly peer: ParticipantId } {
  const connection = decision.connections.get(id)
  if (connection?.[end].participant !== participant) throw new RpcError('NOT_FOUND', `there is no connection ${id} of this isolate`)
  const place = { channel: connection.channel }
  const peer = connection[otherEnd(end)].participant
  if (connection.stage !== 'open' || peer === undefined) throw new RpcError('UNAVAILABLE', 'the other end of the connection is gone', place)
  if (sharesHeap(decision, connection.client.heaps)) {
    // The others would not have it, and what one client brought would stay with the server for ever.
    throw new RpcError('FAILED_PRECONDITION', toSeal
      ? 'the clients of this channel share one heap, whose writers must trust each other: nothing is sealed there; use isolation \'snapshot\', or serve without sharedHeapBytes'
      : 'the connections of this channel share one heap, and none of them adds another: have the server share a larger one', place)
  }
  if (connection.client.heaps.length >= HEAPS_PER_OWNER_MAX || connection.server.heaps.length >= HEAPS_PER_OWNER_MAX) {
    throw new RpcError('RESOURCE_EXHAUSTED', `a connection has at most ${HEAPS_PER_OWNER_MAX} heaps`, place)
  }
  return { connection, peer }
}

/** Attaches both ends to a heap and tells them: `end`, who asked, by the answer to its request, with or without the file. */
export function handOver(decision: Decision, connection: ConnectionRecord, end: End, heap: HeapId, answer: { readonly request: number, readonly files: boolean }): void {
  const other = otherEnd(end)
  const [participant, peer] = [connection[end].participant, connection[other].participant]
  assert(participant !== undefined && peer !== undefined, 'an open connection has both ends')
  const own = attach(decision, heap, participant, { id: connection.id, end })
  const theirs = attach(decision, heap, peer, { id: connection.id, end: other })
  const changed = decision.updateEnd(connection, end, { heaps: [...connection[end].heaps, own] })
  decision.updateEnd(changed, other, { heaps: [...changed[other].heaps, theirs] })
  decision.send(participant, { type: 'grown', id: answer.request, memory: describe(decision, own, theirs.member) }, answer.files ? [heap] : [])
  decision.send(peer, { type: 'heapAdded', connection: connection.id, end: other, memory: describe(decision, theirs, own.member) }, [heap])
}

/** One end is closed in order. Its heaps are released one by one, its control region with it. */
export function close(decision: Decision, participant: ParticipantId, message: Requests['close']): void {
  const connection = decision.connections.get(message.connection)
  const { end } = message
  if (connection?.[end].participant !== participant) return dropUnclaimed(decision, participant, { id: message.connection, end })
  if (connection.stage === 'pending') return
  tellOther(decision, connection, end, 'closed')
  if (connection[end].control !== undefined) detach(decision, participant, connection[end].control)
  removeEnd(decision, connection.id, end)
}

/** After a restart: an end came back too late for its connection, and had claimed its control region, which goes with no other message. */
function dropUnclaimed(decision: Decision, participant: ParticipantId, { id, end }: ConnectionEnd): void {
  for (const attachment of decision.participants.get(participant)?.attachments ?? []) {
    const via = holderOf(decision, participant, attachment, end)?.via
    if (via?.id === id && decision.heaps.get(attachment.heap)?.kind === 'control') detach(decision, participant, attachment)
  }
}

/** The participant of one end is gone. */
export function endDied(decision: Decision, id: ConnectionId, end: End): void {
  const connection = decision.connections.get(id)
  if (connection === undefined) return
  if (connection.stage !== 'pending') tellOther(decision, connection, end, 'peerDied')
  else if (end === 'client') {
    leavePending(decision, connection, 'client', undefined)
    decision.send(connection.server.participant, { type: 'peerDied', connection: id, end: 'server' })
  } else {
    leavePending(decision, connection, 'client', { code: 'UNAVAILABLE', message: `the server of ${connection.channel} died before it accepted` })
  }
  dropEnd(decision, id, end)
}

function tellOther(decision: Decision, connection: ConnectionRecord, end: End, type: 'closed' | 'peerDied'): void {
  if (connection.stage === 'open') decision.send(connection[otherEnd(end)].participant, { type, connection: connection.id, end: otherEnd(end) })
}

/** A pending connection ends for its client, who never used its memory. The server keeps its part until it answers. */
function leavePending(decision: Decision, connection: ConnectionRecord, end: 'client', failure: Failure | undefined): void {
  decided(decision, connection)
  if (failure !== undefined) {
    decision.send(connection.client.participant, { type: 'error', id: connection.request, code: failure.code, message: failure.message })
  }
  letGoOfFiles(decision, connection)
  dropEnd(decision, connection.id, end, true)
}

function decided(decision: Decision, connection: ConnectionRecord): void {
  decision.timers.delete(`pending:${connection.id}`)
  decision.updateChannel(connection.channel, (record) => ({ pending: Math.max(0, record.pending - 1) }))
}

/** Both ends have the files of the connection's own memory, or will never need them. */
function letGoOfFiles(decision: Decision, connection: ConnectionRecord): void {
  const own = [connection.client.control, ...connection.client.heaps].filter((one) => one !== undefined)
  for (const { heap } of own) if (!isOfChannel(decision.heaps.get(heap)?.kind)) stopHolding(decision, heap)
}

/** Takes one end off, with all memory it still has. */
function dropEnd(decision: Decision, id: ConnectionId, end: End, quiet = false): void {
  const record = decision.connections.get(id)?.[end]
  if (record?.participant === undefined) return
  const attachments = record.control === undefined ? record.heaps : [record.control, ...record.heaps]
  for (const attachment of attachments) detach(decision, record.participant, attachment, quiet)
  removeEnd(decision, id, end)
}

/** The connection is forgotten with its last end. */
function removeEnd(decision: Decision, id: ConnectionId, end: End): void {
  const connection = decision.connections.get(id)
  const participant = connection?.[end].participant
  if (connection === undefined || participant === undefined) return
  decision.updateParticipant(participant, (record) => ({ ends: record.ends.filter((one) => one.id !== id || one.end !== end) }))
  decision.timers.delete(`awaited:${id}`)
  if (connection[otherEnd(end)].participant === undefined) decision.connections.delete(id)
  else decision.updateEnd({ ...connection, stage: 'ended' }, end, { participant: undefined, control: undefined, heaps: [] })
}

export function addEnd(decision: Decision, participant: ParticipantId, end: ConnectionEnd): void {
  decision.updateParticipant(participant, (record) => ({ ends: [...record.ends, end] }))
}

function peerOf(decision: Decision, id: ParticipantId): Peer {
  const record = decision.participants.get(id)
  return { participant: id, pid: record?.pid ?? 0, uid: record?.uid ?? 0, gid: record?.gid ?? 0 }
}

/** The memory of one end, as it is told to it. */
function memoryOf(decision: Decision, connection: ConnectionRecord, end: End): { control: MemoryMessage, heaps: MemoryMessage[] } {
  const own = connection[end]
  const other = connection[otherEnd(end)]
  const peerMember = ({ heap }: Attachment): number =>
    other.heaps.find((one) => one.heap === heap)?.member ?? memberOf(decision, heap, other.participant)
  const control = own.control ?? { heap: 0 as HeapId, member: 0 }
  return {
    control: describe(decision, control, other.control?.member ?? 0),
    heaps: own.heaps.map((one) => describe(decision, one, peerMember(one))),
  }
}

function memberOf(decision: Decision, heap: HeapId, participant: ParticipantId | undefined): number {
  return decision.heaps.get(heap)?.holders.find((one) => one.participant === participant)?.member ?? 0
}
