// The debug mode of heaps, RPCOOL_DEBUG=heap in the environment: who made each live block, who forgot it, who uses it after its end.
import { RpcError } from '../base/errors.js'
import { makeAddress } from '../base/numbers.js'
import { POISON, type Allocator, type Region } from './region.js'

const GRANULE_BYTES = 16
/** What was put into an object later: its type says no more than the object's. */
const UNNAMED = 'a value'
/** The call of what no call is to free. */
const KEPT = 0
/** Freed blocks that wait before their memory is used again, so that a late use finds the poison and not another object. */
const QUARANTINE_MAX = 256
/** Deep enough to leave the library, whose builders nest. */
const STACK_FRAMES = 60
const ROOT = /^(.*)\/dist\//.exec(new URL(import.meta.url).pathname)?.[1] ?? ''
/** The library's own files in a stack, as they run and as source maps call them. */
const OWN_FOLDERS = [`${ROOT}/dist/`, `${ROOT}/src/`]

/** Objects of one type that were made at one place and never freed. */
export interface Leak {
  /** The type, as messages write it. */
  readonly type: string
  /** File, line and column of the call that made them. */
  readonly place: string
  readonly objects: number
  readonly bytes: number
}

/** Where what was freed by others was freed: nobody knows more. */
const ELSEWHERE = 'the other end of the connection'

interface Made {
  readonly region: Region
  readonly word: number
  readonly type: string
  readonly place: string
  readonly bytes: number
  /** The call that made it: an object may be several blocks. */
  readonly call: number
}

interface Gone extends Made {
  readonly freedAt: string
}

/** What a heap set has that is watched: also its methods are replaced. */
interface Watched extends Allocator {
  isLive(region: Region, word: number): boolean
  retire(region: Region, word: number): void
  refuseRetired(region: Region, word: number): void
  settle(): void
  collect(): void
  stats(): unknown
}

/** Knows every block that the heaps of this isolate hand out. Costs a stack trace for each. */
export class HeapDebug {
  readonly #live = new Map<Watched, Map<number, Made>>()
  readonly #gone = new Map<number, Gone>()
  /** Places that were told of pointers into other objects. */
  readonly #pointedAt = new Set<string>()
  #type: string | null = null
  #call = KEPT
  #calls = KEPT

  /** Runs what makes an object of a type: the blocks taken meanwhile are its own. */
  making<R>(type: string, work: () => R): R {
    const [before, call] = [this.#type, this.#call]
    this.#type = type
    this.#call = ++this.#calls
    try {
      return work()
    } finally {
      this.#type = before
      this.#call = call
    }
  }

  /** Runs what takes memory that stays with the heap: nobody has forgotten it, whatever is being made. */
  keeping<R>(type: string, work: () => R): R {
    const [before, call] = [this.#type, this.#call]
    this.#type = type
    this.#call = KEPT
    try {
      return work()
    } finally {
      this.#type = before
      this.#call = call
    }
  }

  /** Puts itself between a heap set and its users. */
  watch(heaps: Watched): void {
    const live = new Map<number, Made>()
    const waiting = new Map<number, Made>()
    /** Where what is retired was overwritten. */
    const overwritten = new Map<number, string>()
    this.#live.set(heaps, live)
    const allocate = heaps.allocate.bind(heaps)
    const free = heaps.free.bind(heaps)
    const retire = heaps.retire.bind(heaps)
    const collect = heaps.collect.bind(heaps)
    const stats = heaps.stats.bind(heaps)
    const release = (keep: number): void => {
      for (const [address, { region, word, bytes }] of waiting) {
        if (waiting.size <= keep) return
        waiting.delete(address)
        this.#forget(address, bytes)
        if (heaps.isLive(region, word)) free(region, word)
      }
    }
    heaps.allocate = (byteLength) => {
      let word: number
      try {
        word = allocate(byteLength)
      } catch {
        release(0)
        word = allocate(byteLength)
      }
      const { region } = heaps
      const address = region.addressOf(word)
      this.#forget(address, byteLength)
      // Others have freed it while it waited: it is not freed again.
      waiting.delete(address)
      live.set(address, { region, word, type: this.#type ?? UNNAMED, place: placeOf(), bytes: byteLength, call: this.#type === null ? KEPT : this.#call })
      return word
    }
    heaps.free = (region, word) => {
      heaps.refuseRetired(region, word)
      const address = region.addressOf(word)
      const place = overwritten.get(address) ?? placeOf()
      overwritten.delete(address)
      this.check(region, word, 'free')
      const made = live.get(address)
      if (made === undefined) {
        free(region, word)
        return
      }
      this.#goes(live, address, made, place)
      region.i32.fill(POISON, word, word + (made.bytes >>> 2))
      waiting.set(address, made)
      release(QUARANTINE_MAX)
    }
    heaps.retire = (region, word) => {
      const address = region.addressOf(word)
      retire(region, word)
      if (!overwritten.has(address)) overwritten.set(address, placeOf())
    }
    heaps.collect = () => {
      heaps.settle()
      release(0)
      collect()
    }
    heaps.stats = () => {
      // What is retired comes to what waits.
      heaps.settle()
      release(0)
      return stats()
    }
  }

  #goes(live: Map<number, Made>, address: number, made: Made, freedAt: string): void {
    live.delete(address)
    const gone = { ...made, freedAt }
    for (let at = 0; at < made.bytes; at += GRANULE_BYTES) this.#gone.set(address + at, gone)
  }

  #forget(address: number, bytes: number): void {
    for (let at = 0; at < bytes; at += GRANULE_BYTES) this.#gone.delete(address + at)
  }

  /**
   * Throws FAILED_PRECONDITION, with names, when the word lies in a block that was freed. @param what is done; @param type of what
   * lies there, where it is known: it may be a part of what the block was made for.
   */
  check(region: Region, word: number, what: string, type?: string): void {
    // A copy keeps the addresses of what it is a copy of.
    if (region.isPrivate) return
    const address = region.addressOf(word)
    for (const [heaps, live] of this.#live) {
      const made = live.get(address)
      if (made !== undefined && !heaps.isLive(made.region, made.word)) this.#goes(live, address, made, ELSEWHERE)
    }
    const gone = this.#gone.get(address - address % GRANULE_BYTES)
    if (gone === undefined) return
    throw new RpcError('FAILED_PRECONDITION',
      `${what} of ${partOf(gone, type)} at 0x${makeAddress(region.high, region.lowOf(word) >>> 0).toString(16)} after it was freed at ${gone.freedAt}; it was made at ${gone.place}`)
  }

  /**
   * A pointer is kept to an object of a type and size. Tells, once for each place, when that lies inside of something else, a list or
   * a map say: the pointer leads to another one, or to none, when that changes. A struct in a struct stays where it is, and is told of, too.
   */
  pointing({ origin: region }: Region, word: number, type: string, bytes: number, where: string): void {
    if (region.scope !== null || region.isPrivate) return
    for (const [heaps, live] of this.#live) {
      if (!heaps.owns(region)) continue
      const made = live.get(region.addressOf(word))
      if (made === undefined ? heaps.startsBlock?.(region, word) !== false : made.bytes === bytes) return
      const place = placeOf()
      if (this.#pointedAt.has(place)) return
      this.#pointedAt.add(place)
      process.emitWarning(
        `${where} points to a ${type} that lies by value in something else, at ${place}: when that changes it is another one, or none; point to what heap.new made`,
        { type: 'RpcoolHeapWarning' })
      return
    }
  }

  /** What was made by name in these heaps and is still live, the largest first. */
  leaks(heaps: Watched): readonly Leak[] {
    heaps.settle()
    const live = this.#live.get(heaps) ?? new Map<number, Made>()
    for (const [address, made] of live) if (!heaps.isLive(made.region, made.word)) this.#goes(live, address, made, ELSEWHERE)
    const byPlace = new Map<string, { type: string, place: string, calls: Set<number>, bytes: number }>()
    for (const { type, place, bytes, call } of live.values()) {
      if (call === KEPT) continue
      const key = `${type} ${place}`
      const known = byPlace.get(key) ?? { type, place, calls: new Set(), bytes: 0 }
      known.calls.add(call)
      known.bytes += bytes
      byPlace.set(key, known)
    }
    return [...byPlace.values()].map(({ type, place, calls, bytes }) => ({ type, place, objects: calls.size, bytes })).sort((a, b) => b.bytes - a.bytes)
  }

  /** The heaps are closed: tells what was forgotten, and forgets them. */
  close(heaps: Watched): void {
    const leaks = this.leaks(heaps)
    this.#live.delete(heaps)
    if (leaks.length === 0) return
    const lines = leaks.map(({ type, place, objects, bytes }) => `  ${objects} × ${type}, ${bytes} bytes, made at ${place}`)
    process.emitWarning(`a heap was closed with objects that nobody freed:\n${lines.join('\n')}`, { type: 'RpcoolHeapWarning' })
  }
}

function partOf({ type: whole }: Made, type = whole): string {
  return whole === UNNAMED || type === whole ? type : `${type} in ${whole}`
}

/** The first frame of the stack outside of the library. */
function placeOf(): string {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = STACK_FRAMES
  const lines = new Error('where').stack?.split('\n').slice(1) ?? []
  Error.stackTraceLimit = limit
  const frame = lines.find((line) => !OWN_FOLDERS.some((folder) => line.includes(folder)) && !line.includes('node:internal') && !line.includes('<anonymous>:'))
  return /\(?((?:file:\/\/)?\/[^)]+)\)?$/.exec(frame ?? '')?.[1]?.replace('file://', '') ?? 'an unknown place'
}

/** The debug mode, or null when it is off: it then costs nothing, because nothing asks for it but what is made once. */
export const heapDebug: HeapDebug | null = (process.env['RPCOOL_DEBUG'] ?? '').split(',').includes('heap') ? new HeapDebug() : null
