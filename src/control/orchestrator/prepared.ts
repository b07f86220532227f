import { RpcError } from '../../base/errors.js'
import { claimHeap } from './claims.js'
import { growing, handOver } from './connections.js'
import { attach, createHeap, describe, holderOf, stopHolding } from './heaps.js'
import { PREPARED_PER_PROGRAM_MAX } from '../protocol/limits.js'
import type { Requests } from '../protocol/messages.js'
import type { Decision, HeapRecord, HolderRecord, PreparedRecord } from './state.js'
import type { Attachment, HeapId, ParticipantId } from '../protocol/types.js'

// Heaps that a trusted launcher maps into a program before it begins. The program never gets the file of one: it is told that
// its connection may use it, and its server gets the file. The launcher is attached to all of them as long as it lives.

/** A heap for a program that is to be started; its file goes to the launcher. */
export function prepare(decision: Decision, participant: ParticipantId, message: Requests['prepare']): void {
  requireLauncher(decision, participant)
  const heap = createHeap(decision, 'prepared', message.byteLength, 'prepared', { for: 'prepare', participant, request: message.id })
  const own = attach(decision, heap, participant, undefined)
  decision.send(participant, { type: 'prepared', id: message.id, memory: describe(decision, own, 0) }, [heap])
}

/** The launcher has mapped the heap into the process of this pid and user. */
export function assign(decision: Decision, participant: ParticipantId, message: Requests['assign']): void {
  const heap = ownPrepared(decision, participant, message)
  if (!heap.held || isAssigned(decision, heap.id)) throw new RpcError('ABORTED', `heap ${heap.id} belongs to a program already`)
  addTo(decision, participant, message, heap.id)
  decision.send(participant, { type: 'done', id: message.id })
}

/** After a restart of the daemon: a launcher hands the file of a heap back, which came with the message. */
export function claimPrepared(decision: Decision, participant: ParticipantId, message: Requests['claimPrepared']): void {
  const { heap: id, member, byteLength, proof, readers } = message
  requireLauncher(decision, participant)
  claimHeap(decision, participant, { type: 'claimHeap', id: message.id, heap: id, member, highestMember: member, proof })
  const heap = ownPrepared(decision, participant, message)
  if (heap.held || heap.byteLength !== byteLength || isAssigned(decision, id)) throw new RpcError('ABORTED', `heap ${id} is known otherwise to the daemon that started after the last one's death`)
  decision.heaps.set(id, { ...heap, held: true })
  decision.effects.push({ kind: 'adopt', heap: id, index: 0 })
  addTo(decision, participant, message, id, readers[0])
}

/** The client's own process has heaps that a launcher prepared: one that no connection uses becomes this one's. */
export function growPrepared(decision: Decision, participant: ParticipantId, message: Requests['growPrepared']): void {
  const { connection, peer } = growing(decision, participant, { id: message.connection, end: 'client' }, true)
  const pid = decision.participants.get(participant)?.pid ?? 0
  const prepared = decision.prepared.get(pid)
  const reader = decision.participants.get(peer)?.uid ?? 0
  const free = prepared?.heaps.filter((one) => (one.reader ?? reader) === reader && !isUsed(decision, one.heap)) ?? []
  // One that no server still reads is ready at once.
  const chosen = free.find(({ heap }) => decision.heaps.get(heap)?.holders.length === 1) ?? free[0]
  if (prepared === undefined) throw new RpcError('FAILED_PRECONDITION', `no launcher prepared a heap for process ${pid}`)
  if (chosen === undefined) {
    const why = prepared.heaps.some(({ heap }) => !isUsed(decision, heap)) ? ', or served servers of another user, who could still read them' : ''
    throw new RpcError('RESOURCE_EXHAUSTED', `all ${prepared.heaps.length} heaps that "rpcool run" prepared for this program serve its other connections${why}: ` +
      'close some, or start it with a larger --heaps')
  }
  if (chosen.reader === undefined) {
    decision.prepared.set(pid, { ...prepared, heaps: prepared.heaps.map((one) => (one === chosen ? { ...one, reader } : one)) })
    tellLauncher(decision, prepared.launcher, chosen.heap, reader)
  }
  handOver(decision, connection, 'client', chosen.heap, { request: message.id, files: false })
}

/** The launcher leaves, or gives the heap back: no further connection gets it. Nothing for heaps of another kind. */
export function endPrepared(decision: Decision, participant: ParticipantId, id: HeapId): void {
  const heap = decision.heaps.get(id)
  if (heap?.kind !== 'prepared' || launchersHold(heap, participant) === undefined) return
  const record = assignedTo(decision, participant).find(({ heaps }) => heaps.some((one) => one.heap === id))
  // Another process's, which this one claimed as a client's or server's.
  if (record === undefined && isAssigned(decision, id)) return
  stopHolding(decision, id)
  if (record === undefined) return
  const heaps = record.heaps.filter((one) => one.heap !== id)
  if (heaps.length > 0) decision.prepared.set(record.pid, { ...record, heaps })
  else decision.prepared.delete(record.pid)
}

function addTo(decision: Decision, participant: ParticipantId, { pid, uid }: { readonly pid: number, readonly uid: number }, heap: HeapId, reader?: number): void {
  const record: PreparedRecord = decision.prepared.get(pid) ?? { pid, uid, launcher: participant, heaps: [] }
  if (record.launcher !== participant || record.uid !== uid) throw new RpcError('PERMISSION_DENIED', `process ${pid} was launched by another process`)
  if (record.heaps.length >= PREPARED_PER_PROGRAM_MAX) throw new RpcError('RESOURCE_EXHAUSTED', `a program has at most ${PREPARED_PER_PROGRAM_MAX} prepared heaps`)
  decision.prepared.set(pid, { ...record, heaps: [...record.heaps, { heap, reader }] })
  decision.updateParticipant(participant, ({ launched }) => ({ launched: launched.includes(pid) ? launched : [...launched, pid] }))
}

/** Before the server gets the file: should this daemon die, the launcher tells the next one who may read the heap. */
function tellLauncher(decision: Decision, launcher: ParticipantId, heap: HeapId, reader: number): void {
  const own = launchersHold(decision.heaps.get(heap), launcher)
  if (own !== undefined) decision.send(launcher, { type: 'preparedRead', heap, member: own.member, reader })
}

function ownPrepared(decision: Decision, participant: ParticipantId, attachment: Attachment): HeapRecord {
  const heap = decision.heaps.get(attachment.heap)
  if (heap?.kind === 'prepared' && holderOf(decision, participant, attachment, 'own') !== undefined) return heap
  throw new RpcError('NOT_FOUND', `heap ${attachment.heap} was not prepared by this process`)
}

/** What a launcher says of a process is believed: it must be of the daemon's own user. */
function requireLauncher(decision: Decision, participant: ParticipantId): void {
  if (decision.participants.get(participant)?.standing === 'owner') return
  throw new RpcError('PERMISSION_DENIED', 'only a process of the daemon\'s own user can prepare heaps for programs')
}

function launchersHold(heap: HeapRecord | undefined, participant: ParticipantId): HolderRecord | undefined {
  return heap?.holders.find((one) => one.participant === participant && one.role === 'own')
}

function assignedTo(decision: Decision, launcher: ParticipantId): PreparedRecord[] {
  const pids = decision.participants.get(launcher)?.launched ?? []
  return pids.map((pid) => decision.prepared.get(pid)).filter((record) => record !== undefined)
}

function isAssigned(decision: Decision, id: HeapId): boolean {
  for (const { participant, role } of decision.heaps.get(id)?.holders ?? []) {
    if (role === 'own' && assignedTo(decision, participant).some(({ heaps }) => heaps.some(({ heap }) => heap === id))) return true
  }
  return false
}

/** Whether a connection's client has it. A server that still reads for a connection before this one does no harm: it only reads. */
function isUsed(decision: Decision, id: HeapId): boolean {
  const heap = decision.heaps.get(id)
  return heap === undefined || [...heap.holders, ...heap.expected].some(({ role }) => role === 'client')
}
