import { RpcError } from '../../base/errors.js'
import { attach, createHeap, describe, detach, sharesHeap, stopHolding } from './heaps.js'
import { CHANNELS_PER_PARTICIPANT_MAX, HEAPS_PER_OWNER_MAX } from '../protocol/limits.js'
import type { Requests } from '../protocol/messages.js'
import { checkName, similarNames } from '../protocol/names.js'
import { numberOfName } from './proofs.js'
import type { ChannelRecord, Decision } from './state.js'
import type { Attachment, ParticipantId } from '../protocol/types.js'

/** Gives a name to a server. Throws ALREADY_EXISTS naming the process that has it. */
export function addChannel(decision: Decision, participant: ParticipantId, name: string, info: string, heaps: readonly Attachment[]): void {
  checkName(name)
  const taken = decision.channels.get(name)
  if (taken !== undefined) {
    const pid = decision.participants.get(taken.server)?.pid
    throw new RpcError('ALREADY_EXISTS', `the channel's name is taken by process ${pid}${taken.server === participant ? ', this same isolate' : ''}`, { channel: name })
  }
  const server = decision.participants.get(participant)
  if (server === undefined) throw new RpcError('FAILED_PRECONDITION', 'the participant is gone')
  if (server.channels.length >= CHANNELS_PER_PARTICIPANT_MAX) {
    throw new RpcError('RESOURCE_EXHAUSTED', `an isolate registers at most ${CHANNELS_PER_PARTICIPANT_MAX} channels`, { channel: name })
  }
  const number = numberOfName(decision, name)
  const expected = decision.names.get(number)
  if (expected !== undefined && expected.uid !== server.uid) {
    throw new RpcError('ALREADY_EXISTS', `the channel's name belongs to a server of user ${expected.uid}, which is expected back since the daemon ended`, { channel: name })
  }
  decision.names.delete(number)
  decision.effects.push({ kind: 'enterName', entry: { number, uid: server.uid } })
  decision.channels.set(name, { name, server: participant, owner: { uid: server.uid, gid: server.gid }, info, heaps, pending: 0 })
  decision.updateParticipant(participant, (record) => ({ channels: [...record.channels, name] }))
}

export function register(decision: Decision, participant: ParticipantId, message: Requests['register']): void {
  addChannel(decision, participant, message.channel, message.info, [])
  const undo = { for: 'register', participant, request: message.id, channel: message.channel } as const
  const make = (kind: 'shared' | 'published', byteLength: number): Attachment[] =>
    byteLength === 0 ? [] : [attach(decision, createHeap(decision, kind, byteLength, message.channel, undo), participant, undefined)]
  const heaps = [...make('shared', message.sharedBytes), ...make('published', message.publishedBytes)]
  decision.updateChannel(message.channel, () => ({ heaps }))
  decision.send(participant, { type: 'registered', id: message.id, heaps: heaps.map((one) => describe(decision, one, 0)) },
    heaps.flatMap(({ heap }) => [heap, heap]))
}

/** The channel as its server; throws NOT_FOUND or PERMISSION_DENIED. */
export function ownChannel(decision: Decision, participant: ParticipantId, name: string): ChannelRecord {
  const channel = findChannel(decision, name)
  if (channel.server !== participant) throw new RpcError('PERMISSION_DENIED', 'only its server may change a channel', { channel: name })
  return channel
}

/** The channel of that name; throws NOT_FOUND naming similar ones. */
export function findChannel(decision: Decision, name: string): ChannelRecord {
  const channel = decision.channels.get(name)
  if (channel !== undefined) return channel
  checkName(name)
  const similar = similarNames(name, [...decision.channels.list()].map((one) => one.name))
  const hint = similar.length === 0 ? 'is its server running, and with the same runtime directory?' : `did you mean ${similar.join(' or ')}?`
  throw new RpcError('NOT_FOUND', `there is no channel ${JSON.stringify(name)}; ${hint}`)
}

/** The name is free again; nobody may wait for the server's decision. Connections stay, and so do the server's attachments to the shared heaps until it releases them. */
export function removeChannel(decision: Decision, name: string): void {
  const channel = decision.channels.get(name)
  if (channel === undefined) return
  decision.channels.delete(name)
  decision.effects.push({ kind: 'strikeName', number: numberOfName(decision, name) })
  decision.updateParticipant(channel.server, (record) => ({ channels: record.channels.filter((one) => one !== name) }))
  for (const { heap } of channel.heaps) stopHolding(decision, heap)
}

/** One more shared heap, told to the server and to every connection of the channel. */
export function growChannel(decision: Decision, participant: ParticipantId, message: Requests['growChannel']): void {
  const channel = ownChannel(decision, participant, message.channel)
  if (!sharesHeap(decision, channel.heaps)) throw new RpcError('FAILED_PRECONDITION', 'the channel was not registered with a shared heap', { channel: channel.name })
  if (channel.heaps.length >= HEAPS_PER_OWNER_MAX) {
    throw new RpcError('RESOURCE_EXHAUSTED', `a channel has at most ${HEAPS_PER_OWNER_MAX} heaps`, { channel: channel.name })
  }
  const heap = createHeap(decision, 'shared', message.byteLength, channel.name, { for: 'grow', participant, request: message.id })
  const own = attach(decision, heap, participant, undefined)
  decision.updateChannel(channel.name, (record) => ({ heaps: [...record.heaps, own] }))
  decision.send(participant, { type: 'grown', id: message.id, memory: describe(decision, own, 0) }, [heap, heap])
  for (const { id, end } of decision.participants.get(participant)?.ends ?? []) {
    const connection = decision.connections.get(id)
    const client = connection?.client.participant
    if (end !== 'server' || connection?.channel !== channel.name || client === undefined) continue
    if (connection.stage !== 'open' && connection.stage !== 'pending') continue
    const theirs = attach(decision, heap, client, { id, end: 'client' })
    decision.updateEnd(connection, 'client', { heaps: [...connection.client.heaps, theirs] })
    // A pending one hears of it when it is opened.
    if (connection.stage === 'open') {
      decision.send(client, { type: 'heapAdded', connection: id, end: 'client', memory: describe(decision, theirs, own.member) }, [heap])
    }
  }
}

/** A heap whose file could not be made: as if it had never been. */
export function forgetHeap(decision: Decision, id: Attachment['heap']): void {
  const without = (list: readonly Attachment[]): readonly Attachment[] => list.filter((one) => one.heap !== id)
  for (const { participant, member, via } of decision.heaps.get(id)?.holders ?? []) {
    const connection = via === undefined ? undefined : decision.connections.get(via.id)
    if (connection !== undefined && via !== undefined) {
      decision.updateEnd(connection, via.end, { heaps: without(connection[via.end].heaps) })
    } else {
      for (const name of decision.participants.get(participant)?.channels ?? []) {
        decision.updateChannel(name, (channel) => ({ heaps: without(channel.heaps) }))
      }
    }
    detach(decision, participant, { heap: id, member }, true)
  }
  stopHolding(decision, id)
}
