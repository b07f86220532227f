import { assert, unreachable } from '../../base/assert.js'
import { RpcError } from '../../base/errors.js'
import { SLOT_COUNT } from './addresses.js'
import { forgetHeap, growChannel, register, removeChannel } from './channels.js'
import { claimChannel, claimConnection, claimHeap, giveUpAwaiting, tellLivingMembers } from './claims.js'
import { abandon, accept, cancel, close, endDied, grow, open, refuse, unregister } from './connections.js'
import { failureOf, type Failure } from '../protocol/errors.js'
import { answerInquiry, detach, expect, release, stopExpecting } from './heaps.js'
import { PARTICIPANTS_MAX } from '../protocol/limits.js'
import { assign, claimPrepared, endPrepared, growPrepared, prepare } from './prepared.js'
import type { Request } from '../protocol/messages.js'
import { Decision, type BookEntry, type Effect, type NameEntry, type Undo } from './state.js'
import type { Store } from './store.js'
import type { HeapId, ParticipantId, Standing } from '../protocol/types.js'

export type Event =
  /** A process said hello. The id was never used before. */
  | {
    readonly type: 'joined', readonly participant: ParticipantId, readonly pid: number, readonly uid: number, readonly gid: number, readonly standing: Standing
  }
  /** A participant died or left. */
  | { readonly type: 'left', readonly participant: ParticipantId }
  | { readonly type: 'request', readonly participant: ParticipantId, readonly message: Request }
  /** A `create` effect could not be carried out; what followed it was not done. */
  | { readonly type: 'createFailed', readonly heap: HeapId, readonly undo: Undo, readonly failure: Failure }
  /** Time passes: needed while {@link Orchestrator.waiting}. */
  | { readonly type: 'tick' }

export interface OrchestratorOptions {
  readonly store: Store
  /** Gives 32 hexadecimal digits for a text: the same in all daemons of a runtime directory, and unforeseeable for everybody else. */
  readonly sign: (text: string) => string
  /** Ids of heaps and connections start here: random, so that they differ from those of a daemon before. */
  readonly firstId: number
  /** The 4 GiB slot of the window where addresses start: behind those of a daemon before. */
  readonly firstSlot: number
  /** What the daemon before had given out when it died: its `enter` effects without those that were followed by a `strike`. */
  readonly book: readonly BookEntry[]
  /** The same of channels' names. */
  readonly names: readonly NameEntry[]
  /** How long it is kept for who claims it, in milliseconds. */
  readonly expectedMs: number
  /** When it starts, by the clock of {@link Orchestrator.handle}. */
  readonly now: number
}

/**
 * The book-keeper of names, connections, heaps and addresses: events in, effects out. It does no I/O, reads no clock, and
 * keeps all its state in the store. A decision that fails changes nothing and is answered with an error.
 */
export class Orchestrator {
  readonly #store: Store
  readonly #sign: (text: string) => string

  constructor(options: OrchestratorOptions) {
    this.#store = options.store
    this.#sign = options.sign
    const decision = new Decision(this.#store, options.now, this.#sign)
    assert(options.firstSlot >= 0 && options.firstSlot < SLOT_COUNT, 'the first slot lies in the window')
    decision.count({ nextId: options.firstId, slot: options.firstSlot })
    for (const entry of options.book) expect(decision, entry)
    for (const entry of options.names) decision.names.set(entry.number, entry)
    if (options.book.length + options.names.length > 0) decision.timers.set('expected', { at: options.now + options.expectedMs, purpose: { expected: true } })
    decision.commit()
  }

  /** Whether something will be due: then `tick` events are needed. */
  get waiting(): boolean {
    for (const _timer of this.#store.list('timers')) return true
    return false
  }

  /** Whether a launcher said that this process is its program, and of that user. */
  isLaunched(pid: number, uid: number): boolean {
    return this.#decision(0).prepared.get(pid)?.uid === uid
  }

  /** Who holds a channel's name. */
  serverOf(channel: string): ParticipantId | undefined {
    return this.#decision(0).channels.get(channel)?.server
  }

  /** Decides on one event at `now` (milliseconds of a clock that only rises); the effects are to be carried out in order. */
  handle(event: Event, now: number): readonly Effect[] {
    // Another daemon may have changed, between read and commit, what the decision was based on: then it is made again.
    for (let attempt = 0; attempt < 10; attempt++) {
      const decision = this.#decide(event, now)
      if (decision.commit()) return decision.effects
    }
    throw new RpcError('ABORTED', 'the store changes too fast for a decision')
  }

  #decision(now: number): Decision {
    return new Decision(this.#store, now, this.#sign)
  }

  #decide(event: Event, now: number): Decision {
    const decision = this.#decision(now)
    try {
      apply(decision, event)
      return decision
    } catch (error) {
      if (!RpcError.is(error) || event.type !== 'request' || !('id' in event.message)) throw error
      const answer = this.#decision(now)
      answer.send(event.participant, { type: 'error', id: event.message.id, ...failureOf(error) })
      return answer
    }
  }
}

function apply(decision: Decision, event: Event): void {
  switch (event.type) {
    case 'joined': return join(decision, event)
    case 'left': return leave(decision, event.participant)
    case 'request': return request(decision, event.participant, event.message)
    case 'createFailed': return undo(decision, event.heap, event.undo, event.failure)
    case 'tick': return tick(decision)
    default: return unreachable(event)
  }
}

/** What serves others: not for programs that are confined because nobody trusts them. */
const NOT_FOR_PROGRAMS: ReadonlySet<Request['type']> = new Set(['register', 'growChannel', 'claimChannel'] as const)

function request(decision: Decision, participant: ParticipantId, message: Request): void {
  if (NOT_FOR_PROGRAMS.has(message.type) && decision.participants.get(participant)?.standing === 'program') {
    throw new RpcError('PERMISSION_DENIED', 'a program that "rpcool run" started as another user connects to channels, and serves none')
  }
  switch (message.type) {
    case 'ping': return decision.send(participant, { type: 'done', id: message.id })
    case 'register': return register(decision, participant, message)
    case 'unregister': return unregister(decision, participant, message)
    case 'open': return open(decision, participant, message)
    case 'cancel': return cancel(decision, participant, message)
    case 'accept': return accept(decision, participant, message)
    case 'refuse': return refuse(decision, participant, message)
    case 'grow': return grow(decision, participant, message)
    case 'growChannel': return growChannel(decision, participant, message)
    case 'prepare': return prepare(decision, participant, message)
    case 'assign': return assign(decision, participant, message)
    case 'growPrepared': return growPrepared(decision, participant, message)
    case 'close': return close(decision, participant, message)
    case 'claimHeap': return claimHeap(decision, participant, message)
    case 'claimChannel': return claimChannel(decision, participant, message)
    case 'claimConnection': return claimConnection(decision, participant, message)
    case 'claimPrepared': return claimPrepared(decision, participant, message)
    case 'inquire': return answerInquiry(decision, participant, message)
    case 'release':
      endPrepared(decision, participant, message.heap)
      return release(decision, participant, message)
    default: return unreachable(message)
  }
}

function join(decision: Decision, { participant, pid, uid, gid, standing }: Extract<Event, { type: 'joined' }>): void {
  const { participants } = decision.counter()
  assert(decision.participants.get(participant) === undefined, `participant ${participant} joined twice`)
  if (participants >= PARTICIPANTS_MAX) throw new RpcError('RESOURCE_EXHAUSTED', `the daemon serves ${PARTICIPANTS_MAX} isolates already`)
  decision.count({ participants: participants + 1 })
  decision.participants.set(participant, { id: participant, pid, uid, gid, standing, launched: [], channels: [], ends: [], attachments: [] })
}

function leave(decision: Decision, id: ParticipantId): void {
  const record = decision.participants.get(id)
  if (record === undefined) return
  for (const { heap } of record.attachments) endPrepared(decision, id, heap)
  // Nothing is sent to it any more.
  decision.participants.delete(id)
  decision.count({ participants: decision.counter().participants - 1 })
  for (const { id: connection, end } of record.ends) endDied(decision, connection, end)
  for (const name of record.channels) removeChannel(decision, name)
  for (const attachment of record.attachments) detach(decision, id, attachment)
}

function undo(decision: Decision, heap: HeapId, what: Undo, failure: Failure): void {
  if (what.for === 'open') return abandon(decision, what.connection, failure, false)
  if (what.for === 'register') {
    // A channel may have two heaps, and the file of the other one was made, or never will be.
    for (const made of decision.channels.get(what.channel)?.heaps ?? []) forgetHeap(decision, made.heap)
    removeChannel(decision, what.channel)
  }
  forgetHeap(decision, heap)
  decision.send(what.participant, { type: 'error', id: what.request, ...failure })
}

function tick(decision: Decision): void {
  const due = [...decision.timers.list()].filter(({ at }) => at <= decision.now)
  for (const { purpose } of due) {
    if ('pending' in purpose) {
      abandon(decision, purpose.pending, { code: 'DEADLINE_EXCEEDED', message: 'the server did not answer in time' }, true)
    } else if ('awaited' in purpose) {
      decision.timers.delete(`awaited:${purpose.awaited}`)
      giveUpAwaiting(decision, purpose.awaited)
    } else if ('expected' in purpose) {
      decision.timers.delete('expected')
      for (const { id } of decision.heaps.list()) stopExpecting(decision, id)
      for (const { number } of decision.names.list()) {
        decision.names.delete(number)
        decision.effects.push({ kind: 'strikeName', number })
      }
    } else {
      decision.timers.delete(`claimed:${purpose.claimed}`)
      tellLivingMembers(decision, purpose.claimed)
    }
  }
}
