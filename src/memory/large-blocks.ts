import { Entry, type HeapGeometry, Kind } from '../layout/heap-layout.js'
import { makeEntry, type Run, type SpanDirectory } from './span-directory.js'

/** The blocks of one member that take whole spans. Truth is private: which runs are ours, and how long. */
export class LargeBlocks {
  readonly #runs = new Map<number, Run>()

  constructor(
    readonly directory: SpanDirectory, readonly geometry: HeapGeometry, readonly kinds: Uint8Array, readonly member: number,
  ) {}

  get count(): number {
    return this.#runs.size
  }

  /** Blocks whose head is of a kind. */
  countOf(kind: number): number {
    let sum = 0
    for (const head of this.#runs.keys()) if (this.kinds[head] === kind) sum++
    return sum
  }

  get spans(): number {
    let sum = 0
    for (const { count } of this.#runs.values()) sum += count
    return sum
  }

  spansFor(byteLength: number): number {
    return Math.ceil(byteLength / this.geometry.spanBytes)
  }

  /** First span of a new block, or -1 when there is no run of free spans for it. `flag` is Kind.CHUNK or 0. */
  take(byteLength: number, flag: number): number {
    const count = this.spansFor(byteLength)
    if (count > this.geometry.spanCount) return -1
    const continued = makeEntry(this.member, Kind.CONTINUED | flag)
    const head = this.directory.claim(count, makeEntry(this.member, Kind.LARGE | flag), continued)
    if (head < 0) return -1
    this.enter(head, Kind.LARGE | flag, { count, continued })
    // From here on the run is complete: should we die, it is adopted and not given back.
    this.directory.setAux(head, count)
    return head
  }

  /** Notes a run whose head's entry is ours. */
  enter(head: number, kind: number, run: Run): void {
    this.#runs.set(head, run)
    this.kinds[head] = kind
    this.kinds.fill(kind + Kind.CONTINUED - Kind.LARGE, head + 1, head + run.count)
  }

  /** Frees the block that starts with an owned span. False when none does. */
  give(head: number): boolean {
    const run = this.#runs.get(head)
    if (run === undefined) return false
    this.#runs.delete(head)
    const entry = makeEntry(this.member, this.kinds[head]!)
    this.kinds.fill(0, head, head + run.count)
    this.directory.releaseRun(head, entry, run)
    return true
  }

  isFreedRemotely(head: number): boolean {
    return (this.directory.entry(head) & Entry.REMOTE_FREED) !== 0
  }

  /** Frees the blocks that others have freed. */
  collect(): void {
    for (const head of this.#runs.keys()) if (this.isFreedRemotely(head)) this.give(head)
  }
}
