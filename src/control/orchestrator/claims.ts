import { RpcError } from '../../base/errors.js'
import { addChannel } from './channels.js'
import { addEnd } from './connections.js'
import { holderOf, isOfChannel, stopExpecting } from './heaps.js'
import { CLAIM_GRACE_MS, EXPECTED_MS, MEMBER_MAX } from '../protocol/limits.js'
import type { Requests } from '../protocol/messages.js'
import { proofOfAttachment, requireProof, tokenOf, userOf } from './proofs.js'
import { sameAttachment, type ConnectionRecord, type Decision, type EndRecord } from './state.js'
import type { ConnectionId, HeapId, ParticipantId } from '../protocol/types.js'

// After the daemon's death a new one knows which attachments were given out, while its participants still hold heaps, connections and names. Each
// comes back and claims what it holds; what is not claimed in time is taken for given back, and the other end of a connection for dead.

/** A participant still holds an attachment that the daemon before gave it. */
export function claimHeap(decision: Decision, participant: ParticipantId, message: Requests['claimHeap']): void {
  const { heap: id, member, highestMember } = message
  const known = decision.heaps.get(id)
  const expected = known?.expected.find((one) => one.member === member)
  if (known === undefined || expected === undefined) {
    throw new RpcError('ABORTED', `nobody is expected to claim heap ${id} as member ${member}: it was given back before the last daemon's death, or claimed already, ` +
      `or ${EXPECTED_MS / 1000} s have passed since`)
  }
  const isTheirs = expected.uid === userOf(decision, participant)
  requireProof(isTheirs ? message.proof : '', proofOfAttachment(decision, { ...known, ...expected, heap: id }), `heap ${id}`)
  if (known.kind === 'shared' && known.holders.length === 0) decision.timers.set(`claimed:${id}`, { at: decision.now + CLAIM_GRACE_MS, purpose: { claimed: id } })
  const { role, via } = expected
  decision.heaps.set(id, {
    ...known, nextMember: Math.max(known.nextMember, (highestMember % MEMBER_MAX) + 1),
    holders: [...known.holders, { participant, member, role, via }], expected: known.expected.filter((one) => one !== expected),
  })
  decision.updateParticipant(participant, (record) => ({ attachments: [...record.attachments, { heap: id, member }] }))
  decision.send(participant, { type: 'done', id: message.id })
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
    // Each once, and none that came with another connection: it would go with either.
    const isTwice = attachments.slice(0, at).some((one) => sameAttachment(one, attachment))
    if (isTwice || holderOf(decision, participant, attachment, end)?.via?.id !== id) {
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
  addEnd(decision, participant, { id, end })
  decision.send(participant, { type: 'done', id: message.id })
}

/** The other end did not come back. */
export function giveUpAwaiting(decision: Decision, id: ConnectionId): void {
  const connection = decision.connections.get(id)
  if (connection?.stage !== 'awaited') return
  const end = connection.client.participant === undefined ? 'server' : 'client'
  decision.connections.set(id, { ...connection, stage: 'ended' })
  decision.send(connection[end].participant, { type: 'peerDied', connection: id, end })
}

/** Who has not claimed its attachment by now is gone, for good: the others learn who is left, and take over what the gone had. */
export function tellLivingMembers(decision: Decision, id: HeapId): void {
  stopExpecting(decision, id)
  const holders = decision.heaps.get(id)?.holders ?? []
  const living = holders.map(({ member }) => member)
  for (const { participant, member } of holders) decision.send(participant, { type: 'livingMembers', heap: id, member, living })
}
