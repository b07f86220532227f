// Something shared in its holder:
//
//   +0   u32  lock: member of the heap that writes, 0 = nobody (src/memory/lock.ts)
//   +4   u32  sequence: odd while it is being changed
//   +8   u64  journal (undo-log.ts); null until the first write
//   +16  the value, in its inline form
import { RpcError } from '../../base/errors.js'
import { roundUp } from '../../base/numbers.js'
import { type OptionNames, requireLimits } from '../../base/options.js'
import { acquireLock, isNobody, Patience, releaseLock } from '../../memory/lock.js'
import type { Allocator, Membership, Region } from '../../memory/region.js'
import type { Build } from '../graph/build.js'
import { CODEC, Codec, codecOf, once, type Describer, type TypeNode } from '../codec.js'
import type { Copier } from '../graph/copier.js'
import { requireElement } from '../sequence/elements.js'
import type { Gather } from '../graph/gather.js'
import { journal, refuseWrite } from './journal.js'
import { viewClassOf } from '../protocol.js'
import type { AnyType, SharedType } from '../types.js'
import { UndoLog } from './undo-log.js'
import { Visit } from './visit.js'
import { Write } from './write.js'
import { ACCESS, REGION, WORD } from '../view.js'
import type { NoPromise, SharedView, WaitOptions } from '../views.js'

const LOCK = 0
const SEQUENCE = 1
const JOURNAL = 2
const VALUE = 4
/** A read that writers disturb so often takes the lock itself. */
const DISTURBED_MAX = 16
/** How long a read or write waits that says nothing else, and what goes through a whole graph. Tests of what spoiled locks do have less patience. */
export const defaultWait = { timeoutMs: 5000 }

/** The reads that are under way in this isolate, one inside of the other: what they read cannot be written meanwhile. */
const reads: Array<readonly [region: Region, word: number]> = []

class SharedCodec extends Codec {
  readonly align = 8
  readonly #value: () => Codec
  readonly #viewClass: () => SharedClass

  constructor(type: SharedType<AnyType>) {
    super(type)
    this.#value = once(() => codecOf(type.value))
    this.#viewClass = once(() => viewClassOf(SharedValue, this))
  }

  get bytes(): number {
    return VALUE * 4 + roundUp(this.#value().bytes, 8)
  }

  /** Lets a function see the value, which is dead for it when it has returned. @param looks whether it may only read. */
  #visit<R>(region: Region, p: number, looks: boolean, work: (value: unknown) => R): R {
    const visit = new Visit(region, looks)
    try {
      const result = work(this.#value().read(visit, p + VALUE))
      if (typeof result === 'object' && isThenable(result)) this.#refusePromise(result, looks)
      return result
    } finally {
      visit.end()
    }
  }

  #refusePromise(result: PromiseLike<unknown>, looks: boolean): never {
    // What the function still does finds its views dead; that is told here and now.
    result.then(undefined, () => undefined)
    throw new RpcError('INVALID_ARGUMENT', `${this.type.label}: what is given to ${looks ? 'read' : 'write'} must not be async`)
  }

  read(region: Region, p: number): SharedValue {
    return new (this.#viewClass())(region, p)
  }

  /** See {@link SharedView.read}. */
  look<R>({ origin: region }: Region, p: number, work: (value: unknown) => R, { timeoutMs = defaultWait.timeoutMs }: WaitOptions): R {
    const { current } = journal
    if (current instanceof Write && current.isOf(region, p)) return this.#visit(region, p, true, work)
    const { membership, i32 } = region
    // Most reads need no clock.
    let waiting: Patience | null = null
    for (let disturbed = 0; ; disturbed++) {
      const before = Atomics.load(i32, p + SEQUENCE)
      if ((before & 1) === 0) {
        let result: R | undefined
        let failed = true
        let failure: unknown
        try {
          result = this.#read(region, p, work)
          failed = false
        } catch (error) {
          failure = error
        }
        // Pairs with the stores in write and finish: where none came between, no writer was there meanwhile.
        if (Atomics.load(i32, p + SEQUENCE) === before) {
          if (failed) throw failure
          return result as R
        }
        waiting ??= new Patience(membership, timeoutMs, this.type.label)
        if (disturbed < DISTURBED_MAX || current !== null || membership === null || region.readOnly) {
          waiting.wait()
          continue
        }
      } else {
        if (region.isPrivate) throw new RpcError('ABORTED', `${this.type.label} was being changed when this copy of it was made`)
        const holder = Atomics.load(i32, p + LOCK)
        waiting ??= new Patience(membership, timeoutMs, this.type.label)
        // With nobody at the lock no change is under way: a peer has said so. Unless the writer has ended meanwhile.
        const isLeft = holder === 0 ? Atomics.load(i32, p + SEQUENCE) === before : isNobody(holder) || membership?.isGone(holder) === true
        if (membership === null || region.readOnly || current !== null || !isLeft) {
          waiting.wait(holder)
          continue
        }
      }
      this.#lock(region, p, membership, waiting)
      try {
        return this.#read(region, p, work)
      } finally {
        releaseLock(region, p + LOCK, membership)
      }
    }
  }

  #read<R>(region: Region, p: number, work: (value: unknown) => R): R {
    reads.push([region, p])
    try {
      return this.#visit(region, p, true, work)
    } finally {
      reads.pop()
    }
  }

  /** Takes the lock, and repairs what a holder that died has left. */
  #lock(region: Region, p: number, membership: Membership, patience: Patience): Allocator {
    const { allocator } = region
    if (allocator === null) throw new RpcError('FAILED_PRECONDITION', `${this.type.label} cannot be written: this memory is a private copy or not one's own`)
    acquireLock(region, p + LOCK, membership, patience)
    try {
      this.#repair(region, p, allocator)
    } catch (error) {
      releaseLock(region, p + LOCK, membership)
      throw error
    }
    return allocator
  }

  #repair(region: Region, p: number, allocator: Allocator): void {
    const { i32 } = region
    const log = new UndoLog(region, p + JOURNAL, allocator)
    if (log.isOpen && !log.isEmpty) log.undo()
    if (!log.isOpen) log.finish()
    const sequence = Atomics.load(i32, p + SEQUENCE)
    if ((sequence & 1) !== 0) Atomics.store(i32, p + SEQUENCE, sequence + 1)
  }

  /** See {@link SharedView.write}. */
  change<R>(from: Region, p: number, work: (value: unknown) => R, { timeoutMs = defaultWait.timeoutMs }: WaitOptions): R {
    if (from.isLook) refuseWrite(this.type.label, from)
    const region = from.origin
    const { current } = journal
    if (current !== null) {
      if (current instanceof Write && current.isOf(region, p)) return this.#visit(region, p, false, work)
      throw new RpcError('FAILED_PRECONDITION',
        `${this.type.label}: one write at a time. Put what changes together into one shared(struct)`)
    }
    if (reads.some(([other, word]) => word === p && other === region)) {
      throw new RpcError('FAILED_PRECONDITION', `${this.type.label}: a write inside of a read of the same, which would be read again and again: write alone reads too`)
    }
    const { membership, i32 } = region
    if (region.readOnly || membership === null) {
      throw new RpcError('FAILED_PRECONDITION', `${this.type.label} cannot be written here: this memory is read-only, or a private copy. What several processes write is made in a heap that they share: serve with sharedHeapBytes, and make it by server.heap.new`)
    }
    const allocator = this.#lock(region, p, membership, new Patience(membership, timeoutMs, this.type.label))
    try {
      const log = new UndoLog(region, p + JOURNAL, allocator)
      const sequence = Atomics.load(i32, p + SEQUENCE)
      // Pairs with the loads in look: whoever reads from here on, reads again.
      Atomics.store(i32, p + SEQUENCE, sequence | 1)
      journal.current = new Write(region, p, log, allocator)
      try {
        const result = this.#visit(region, p, false, work)
        log.commit()
        return result
      } finally {
        journal.current = null
        if (log.isOpen) log.undo()
        Atomics.store(i32, p + SEQUENCE, (sequence | 1) + 1)
        log.finish()
      }
    } finally {
      releaseLock(region, p + LOCK, membership)
    }
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    clearHeader(region, p)
    if (!(value instanceof SharedValue)) return this.#value().write(build, region, p + VALUE, value, where)
    const [from, word] = [value[REGION], value[WORD]]
    const content = value[ACCESS].#value().read(from, word + VALUE)
    this.#lookOnce(from, word, () => this.#value().write(build, region, p + VALUE, content, where))
  }

  override assign(region: Region, p: number, value: unknown, where: string, stillThere?: () => void): void {
    this.change(region, p, () => this.#value().assign(region, p + VALUE, value, where, stillThere), {})
  }

  override gather(gather: Gather, region: Region, p: number): void {
    const { current } = journal
    if (current instanceof Write && current.isOf(region.origin, p)) {
      throw new RpcError('FAILED_PRECONDITION', `${this.type.label} cannot be freed inside of its own write, which still needs lock and journal`)
    }
    // The journal first: what it says is freed is no longer reached from the value.
    const { allocator } = region
    if (allocator !== null) new UndoLog(region, p + JOURNAL, allocator).forEachBlock((home, word) => gather.block(home, word))
    this.#value().gather(gather, region, p + VALUE)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    clearHeader(to, q)
    this.#lookOnce(from, p, () => this.#value().copy(copier, from, p + VALUE, to, q + VALUE))
  }

  /** For what cannot be done again, since it allocates: its caller undoes it when the value was changed meanwhile. */
  #lookOnce(from: Region, p: number, work: () => void): void {
    const { current } = journal
    const before = Atomics.load(from.i32, p + SEQUENCE)
    work()
    if (current instanceof Write && current.isOf(from.origin, p)) return
    if ((before & 1) === 0 && Atomics.load(from.i32, p + SEQUENCE) === before) return
    throw new RpcError('ABORTED', `${this.type.label} was being changed while it was copied: copy it inside of read`)
  }

  describe(describer: Describer): TypeNode {
    return ['shared', describer.node(this.#value().type)]
  }
}

const WAIT_OPTIONS: OptionNames<WaitOptions> = { timeoutMs: true }

function requireWork(what: string, work: unknown): void {
  if (typeof work !== 'function') throw new RpcError('INVALID_ARGUMENT', `${what} takes a function, which is given the value: ${what}((value) => …)`)
}

function clearHeader(region: Region, p: number): void {
  for (let i = 0; i < VALUE; i++) region.i32[p + i] = 0
}

function isThenable(value: object | null): value is PromiseLike<unknown> {
  return value !== null && typeof Reflect.get(value, 'then') === 'function'
}

/** The view class of everything shared. */
class SharedValue implements SharedView<unknown, unknown> {
  readonly [REGION]: Region
  readonly [WORD]: number
  declare readonly [ACCESS]: SharedCodec
  declare readonly toJSON: () => unknown

  constructor(region: Region, word: number) {
    this[REGION] = region
    this[WORD] = word
  }

  read<R>(work: (value: unknown) => NoPromise<R>, options: WaitOptions = defaultWait): R {
    requireWork('read', work)
    if (options !== defaultWait) requireLimits('read', options, WAIT_OPTIONS)
    return this[ACCESS].look(this[REGION], this[WORD], work as (value: unknown) => R, options)
  }

  write<R>(work: (value: unknown) => NoPromise<R>, options: WaitOptions = defaultWait): R {
    requireWork('write', work)
    if (options !== defaultWait) requireLimits('write', options, WAIT_OPTIONS)
    return this[ACCESS].change(this[REGION], this[WORD], work as (value: unknown) => R, options)
  }
}

type SharedClass = new (region: Region, word: number) => SharedValue

const SHAREABLE: ReadonlySet<string> = new Set(['struct', 'list', 'map', 'set', 'sortedMap', 'array'])

/**
 * A value that any number of processes may read and change at once: looked at inside `read`, changed inside `write`. A write
 * happens as a whole or not at all, also when it throws, and when its process is killed in the middle: whoever comes next undoes
 * what was half done.
 *
 *     const Store = struct('Store', { words: shared(map(text, u32)) })
 *     store.words.write((words) => words.set('a', (words.get('a') ?? 0) + 1))
 *     store.words.read((words) => words.get('a'))
 *
 * Its lock must stay where it is while others may come: elements of a list move when that grows, is cut or sorted, and values of a map when entries are
 * removed. There it lies in a struct of its own, behind a ref.
 */
export function shared<Value extends AnyType>(value: Value): SharedType<Value> {
  requireElement('shared', value)
  if (!SHAREABLE.has(value.kind)) throw new RpcError('INVALID_ARGUMENT', `shared(${value.label}): what is shared is a struct, list, map, set, sortedMap or array`)
  const type: SharedType<Value> = { kind: 'shared', label: `shared(${value.label})`, value, [CODEC]: once(() => new SharedCodec(type)) }
  return type
}
