import { RpcError } from '../../base/errors.js'
import { claimAddress } from './addresses.js'
import { addChannel } from './channels.js'
import { addEnd } from './connections.js'
import { checkRoom, countHeap, holderOf, isOfChannel } from './heaps.js'
import { CLAIM_GRACE_MS, MEMBER_MAX } from '../protocol/limits.js'
import type { Requests } from '../protocol/messages.js'
import { proofOfAttachment, requireProof, tokenOf, userOf } from './proofs.js'
import { sameAttachment, type ConnectionRecord, type Decision, type EndRecord, type HeapRecord } from './state.js'
import type { Attachment, ConnectionEnd, ConnectionId, HeapId, ParticipantId } from '../protocol/types.js'

// After the daemon's death a new one starts empty, while its participants still hold heaps, connections and names. Each
// comes back and claims what it holds; what the other end of a connection does not claim in time is taken for dead.

/** A participant holds this heap at this address: the range is in use, and the member too. */
export function claimHeap(decision: Decision, participant: ParticipantId, message: Requests['claimHeap']): void {
  const { member, role } = message
  const proof = proofOfAttachment(decision, userOf(decision, participant), role, member, { ...message, id: message.heap })
  requireProof(message.proof, proof, `heap ${message.heap}`)
  const known = decision.heaps.get(message.heap) ?? addClaimedHeap(decision, message)
  const same = known.address === message.address && known.byteLength === message.byteLength && known.kind === message.kind
  if (!same || known.holders.some((holder) => holder.member === member)) {
    throw new RpcError('ABORTED', `heap ${message.heap} is known otherwise to the daemon that started after the last one's death`)
  }
  const next = (Math.max(message.highestMember, member) % MEMBER_MAX) + 1
  decision.heaps.set(known.id, {
    ...known, nextMember: Math.max(known.nextMember, next), holders: [...known.holders, { participant, member, role, via: undefined }],
  })
  decision.updateParticipant(participant, (record) => ({ attachments: [...record.attachments, { heap: known.id, member }] }))
  decision.send(participant, { type: 'done', id: message.id })
}

function addClaimedHeap(decision: Decision, message: Requests['claimHeap']): HeapRecord {
  checkRoom(decision, message.byteLength)
  if (!claimAddress(decision, message.address, message.byteLength)) {
    throw new RpcError('ABORTED', `the addresses of heap ${message.heap} were given away after the last daemon's death`)
  }
  countHeap(decision, message.byteLength, 1)
  const { heap: id, kind, address, byteLength } = message
  if (kind === 'shared') decision.timers.set(`claimed:${id}`, { at: decision.now + CLAIM_GRACE_MS, purpose: { claimed: id } })
  return { id, kind, address, byteLength, held: false, holders: [], nextMember: 1 }
}

/** A server takes its name again, and hands the files of its heaps back, which came with the message in this order. */
export function claimChannel(decision: Decision, participant: ParticipantId, message: Requests['claimChannel']): void {
  const heaps = message.heaps.map(({ heap, member }) => ({ heap, member }))
  for (const [index, { heap, byteLength }] of message.heaps.entries()) {
    const record = decision.heaps.get(heap)
    if (record === undefined || !isOfChannel(record.kind) || record.held || record.byteLength !== byteLength || holderOf(decision, participant, heaps[index]!, 'own') === undefined) {
      throw new RpcError('ABORTED', `heap ${heap} is not this server's to share`)
    }
    decision.heaps.set(heap, { ...record, held: true })
    decision.effects.push({ kind: 'adopt', heap, index })
  }
  addChannel(decision, participant, message.channel, message.info, heaps)
  decision.send(participant, { type: 'done', id: message.id })
}

/** One end of a connection is back; the other one is waited for. */
export function claimConnection(decision: Decision, participant: ParticipantId, message: Requests['claimConnection']): void {
  const { end, connection: id } = message
  requireProof(message.token, tokenOf(decision, id, message.channel), `connection ${id}`)
  const attachments = [message.control, ...message.heaps]
  for (const [at, attachment] of attachments.entries()) {
    // Each once, and none that another connection has: it would go with either.
    const isTwice = attachments.slice(0, at).some((one) => sameAttachment(one, attachment))
    const holder = holderOf(decision, participant, attachment, end)
    if (isTwice || holder === undefined || holder.via !== undefined) {
      throw new RpcError('ABORTED', `heap ${attachment.heap} is not this isolate's to claim a connection with`)
    }
  }
  const own: EndRecord = { participant, control: message.control, heaps: message.heaps }
  const known = decision.connections.get(id)
  if (known === undefined) {
    const absent: EndRecord = { participant: undefined, control: undefined, heaps: [] }
    const record: ConnectionRecord = {
      id, channel: message.channel, token: message.token, stage: 'awaited', request: 0, client: absent, server: absent,
    }
    decision.connections.set(id, { ...record, [end]: own })
    decision.timers.set(`awaited:${id}`, { at: decision.now + CLAIM_GRACE_MS, purpose: { awaited: id } })
  } else {
    if (known.stage !== 'awaited' || known[end].participant !== undefined) {
      throw new RpcError('ABORTED', `connection ${id} is known otherwise to the daemon that started after the last one's death`)
    }
    decision.connections.set(id, { ...known, stage: 'open', [end]: own })
    decision.timers.delete(`awaited:${id}`)
  }
  for (const attachment of attachments) linkHolder(decision, attachment, { id, end })
  addEnd(decision, participant, { id, end })
  decision.send(participant, { type: 'done', id: message.id })
}

function linkHolder(decision: Decision, attachment: Attachment, via: ConnectionEnd): void {
  const heap = decision.heaps.get(attachment.heap)
  if (heap === undefined) return
  const holders = heap.holders.map((holder) => (holder.member === attachment.member ? { ...holder, via } : holder))
  decision.heaps.set(heap.id, { ...heap, holders })
}

/** The other end did not come back. */
export function giveUpAwaiting(decision: Decision, id: ConnectionId): void {
  const connection = decision.connections.get(id)
  if (connection?.stage !== 'awaited') return
  const end = connection.client.participant === undefined ? 'server' : 'client'
  decision.connections.set(id, { ...connection, stage: 'ended' })
  decision.send(connection[end].participant, { type: 'peerDied', connection: id, end })
}

/** Who has not claimed its attachment by now is gone: the others learn who is left. */
export function tellLivingMembers(decision: Decision, id: HeapId): void {
  const holders = decision.heaps.get(id)?.holders ?? []
  const living = holders.map(({ member }) => member)
  for (const { participant, member } of holders) decision.send(participant, { type: 'livingMembers', heap: id, member, living })
}
