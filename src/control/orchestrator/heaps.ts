import { assert } from '../../base/assert.js'
import { RpcError } from '../../base/errors.js'
import { assignAddress, claimAddress, freeAddress } from './addresses.js'
import { HEAPS_MAX, MEMBER_MAX, TOTAL_BYTES_MAX } from '../protocol/limits.js'
import type { MemoryMessage } from '../protocol/messages.js'
import { proofOfAttachment, userOf } from './proofs.js'
import { sameAttachment, type BookEntry, type Decision, type HeapRecord, type HolderRecord, type Role, type Undo } from './state.js'
import type { Attachment, ConnectionEnd, HeapId, HeapKind, ParticipantId } from '../protocol/types.js'

// A heap lives while somebody is attached to it, or is expected to claim that, or the daemon holds its file for those to come.

/** A fresh id for a heap or connection. */
export function nextId(decision: Decision): number {
  const id = decision.counter().nextId
  decision.count({ nextId: id + 1 })
  // Claims after a restart bring ids of an earlier daemon, whose counter started elsewhere.
  return decision.heaps.get(id) === undefined && decision.connections.get(id) === undefined ? id : nextId(decision)
}

/** A new heap with an address and a file, held by the daemon, nobody attached. Throws RESOURCE_EXHAUSTED at a limit. */
export function createHeap(decision: Decision, kind: HeapKind, byteLength: number, label: string, undo: Undo): HeapId {
  checkRoom(decision, byteLength)
  const id = nextId(decision) as HeapId
  const address = assignAddress(decision, byteLength)
  decision.heaps.set(id, { id, kind, address, byteLength, held: true, holders: [], expected: [], nextMember: 1 })
  countHeap(decision, byteLength, 1)
  decision.effects.push({ kind: 'create', heap: id, label, byteLength, toPublish: kind === 'published' || kind === 'sealable' || kind === 'prepared', undo })
  return id
}

/** Whether a heap is a channel's, for all its connections. */
export function isOfChannel(kind: HeapKind | undefined): boolean {
  return kind === 'shared' || kind === 'published'
}

/** Whether the connections of a channel share a heap that all write: then they have none of their own. */
export function sharesHeap(decision: Decision, heaps: readonly Attachment[]): boolean {
  return heaps.some(({ heap }) => decision.heaps.get(heap)?.kind === 'shared')
}

/** Where the limits on memory apply; quotas per user and process belong here too. */
function checkRoom(decision: Decision, byteLength: number): void {
  const { heaps, bytes } = decision.counter()
  if (heaps >= HEAPS_MAX) throw new RpcError('RESOURCE_EXHAUSTED', `the daemon has ${HEAPS_MAX} heaps and control regions; close some`)
  if (bytes + byteLength > TOTAL_BYTES_MAX) {
    throw new RpcError('RESOURCE_EXHAUSTED', `${byteLength} bytes more would exceed the ${TOTAL_BYTES_MAX} bytes of all heaps; close some`)
  }
}

function countHeap(decision: Decision, byteLength: number, change: 1 | -1): void {
  const { heaps, bytes } = decision.counter()
  decision.count({ heaps: heaps + change, bytes: bytes + change * byteLength })
}

function heapOf(decision: Decision, id: HeapId): HeapRecord {
  const heap = decision.heaps.get(id)
  assert(heap !== undefined, `heap ${id} is referred to and does not exist`)
  return heap
}

function hasMember({ holders, expected }: HeapRecord, member: number): boolean {
  return holders.some((one) => one.member === member) || expected.some((one) => one.member === member)
}

/** Attaches a participant with the next member id. Ids go up and start again, over those in use, only at the end. */
export function attach(decision: Decision, id: HeapId, participant: ParticipantId, via: ConnectionEnd | undefined): Attachment {
  const heap = heapOf(decision, id)
  if (heap.holders.length + heap.expected.length >= MEMBER_MAX) {
    throw new RpcError('RESOURCE_EXHAUSTED', `a heap has ${MEMBER_MAX} attachments already; close some, or use heaps of one's own`)
  }
  let member = heap.nextMember
  while (hasMember(heap, member)) member = (member % MEMBER_MAX) + 1
  const holder: HolderRecord = { participant, member, role: via?.end ?? 'own', via }
  decision.heaps.set(id, { ...heap, nextMember: (member % MEMBER_MAX) + 1, holders: [...heap.holders, holder] })
  const attachment = { heap: id, member }
  decision.effects.push({ kind: 'enter', entry: entryOf(decision, heap, holder) })
  decision.updateParticipant(participant, (record) => ({ attachments: [...record.attachments, attachment] }))
  return attachment
}

/**
 * A participant waits for what another member holds, which may have gone before it came itself and was told of such things. One that is still
 * expected to claim its attachment is not gone.
 */
export function answerInquiry(decision: Decision, participant: ParticipantId, { heap: id, member, about }: Attachment & { readonly about: number }): void {
  const heap = decision.heaps.get(id)
  if (heap === undefined || !heap.holders.some((one) => one.participant === participant && one.member === member)) return
  // Whoever gets a number that is still to be given out must not be dead to those who read it in a lock that somebody spoiled.
  if ((about - heap.nextMember + MEMBER_MAX) % MEMBER_MAX < MEMBER_MAX / 2) return
  if (!hasMember(heap, about)) decision.send(participant, { type: 'memberGone', heap: id, member, gone: about })
}

/** Ends an attachment and, unless it was never used, tells the other holders. */
export function detach(decision: Decision, participant: ParticipantId, attachment: Attachment, quiet = false): void {
  decision.updateParticipant(participant, (record) => ({ attachments: record.attachments.filter((one) => !sameAttachment(one, attachment)) }))
  const heap = decision.heaps.get(attachment.heap)
  const holders = heap?.holders.filter((one) => one.member !== attachment.member)
  if (heap === undefined || holders === undefined || holders.length === heap.holders.length) return
  decision.heaps.set(heap.id, { ...heap, holders })
  decision.effects.push({ kind: 'strike', attachment })
  if (!quiet && heap.kind !== 'control') {
    for (const { participant, member } of holders) {
      decision.send(participant, { type: 'memberGone', heap: heap.id, member, gone: attachment.member })
    }
  }
  reclaim(decision, heap.id)
}

/** The daemon needs the file no more. */
export function stopHolding(decision: Decision, id: HeapId): void {
  const heap = decision.heaps.get(id)
  if (heap === undefined || !heap.held) return
  decision.effects.push({ kind: 'close', heap: id })
  decision.heaps.set(id, { ...heap, held: false })
  reclaim(decision, id)
}

function reclaim(decision: Decision, id: HeapId): void {
  const heap = decision.heaps.get(id)
  if (heap === undefined || heap.held || heap.holders.length + heap.expected.length > 0) return
  freeAddress(decision, heap.address)
  countHeap(decision, heap.byteLength, -1)
  decision.heaps.delete(id)
  decision.timers.delete(`claimed:${id}`)
}

/** At the start: the daemon before had given this out when it died. Its range stays taken, and its holder may claim it. */
export function expect(decision: Decision, { heap: id, kind, address, byteLength, ...expected }: BookEntry): void {
  let heap = decision.heaps.get(id)
  if (heap === undefined) {
    // No daemon gives a range twice: a book that says so was damaged, and whom it leaves out loses its connections.
    if (!claimAddress(decision, address, byteLength)) return
    heap = { id, kind, address, byteLength, held: false, holders: [], expected: [], nextMember: 1 }
    countHeap(decision, byteLength, 1)
  }
  const nextMember = Math.max(heap.nextMember, (expected.member % MEMBER_MAX) + 1)
  decision.heaps.set(id, { ...heap, nextMember, expected: [...heap.expected, expected] })
}

/** Who has not claimed its attachments by now is gone. */
export function stopExpecting(decision: Decision, id: HeapId): void {
  const heap = decision.heaps.get(id)
  if (heap === undefined || heap.expected.length === 0) return
  for (const { member } of heap.expected) decision.effects.push({ kind: 'strike', attachment: { heap: id, member } })
  decision.heaps.set(id, { ...heap, expected: [] })
  reclaim(decision, id)
}

/** A participant gives an attachment back: one that came with a connection leaves its record too. */
export function release(decision: Decision, participant: ParticipantId, attachment: Attachment): void {
  const heap = decision.heaps.get(attachment.heap)
  const holder = heap?.holders.find((one) => one.participant === participant && one.member === attachment.member)
  // A control region goes with its connection.
  if (heap === undefined || holder === undefined || heap.kind === 'control') return
  const connection = holder.via === undefined ? undefined : decision.connections.get(holder.via.id)
  if (connection !== undefined && holder.via !== undefined) {
    const heaps = connection[holder.via.end].heaps.filter((one) => !sameAttachment(one, attachment))
    decision.updateEnd(connection, holder.via.end, { heaps })
  }
  detach(decision, participant, attachment)
}

/** This participant's attachment for that purpose, if it is. */
export function holderOf(decision: Decision, participant: ParticipantId, attachment: Attachment, role: Role): HolderRecord | undefined {
  const heap = decision.heaps.get(attachment.heap)
  return heap?.holders.find((one) => one.participant === participant && one.member === attachment.member && one.role === role)
}

/** A heap as its holder is told of it. */
export function describe(decision: Decision, attachment: Attachment, peerMember: number): MemoryMessage {
  const heap = heapOf(decision, attachment.heap)
  const { id, kind, address, byteLength } = heap
  const holder = heap.holders.find(({ member }) => member === attachment.member)
  if (holder === undefined) throw new RpcError('ABORTED', `heap ${id} is not attached any more`)
  const proof = proofOfAttachment(decision, entryOf(decision, heap, holder))
  return { heap: id, member: attachment.member, kind, address, byteLength, peerMember, proof }
}

function entryOf(decision: Decision, { id, kind, address, byteLength }: HeapRecord, { participant, member, role, via }: HolderRecord): BookEntry {
  return { heap: id, kind, address, byteLength, member, role, via, uid: userOf(decision, participant) }
}
