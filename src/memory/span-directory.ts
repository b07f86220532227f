import { CLASS_BYTES, Directory, Entry, type HeapGeometry, Kind } from '../layout/heap-layout.js'

export function makeEntry(member: number, kind: number): number {
  return member | (kind << Entry.KIND_SHIFT)
}

export function entryKind(entry: number): number {
  return (entry >>> Entry.KIND_SHIFT) & Entry.KIND_MASK
}

/** The kind without the chunk flag: a size class counted from 1, Kind.LARGE or Kind.CONTINUED. */
export function shapeOf(kind: number): number {
  return kind & ~Kind.CHUNK
}

/** A large block: a head and `count - 1` spans behind it, which all carry the entry `continued` of the member that made it. */
export interface Run {
  readonly count: number
  readonly continued: number
}

export interface AdoptedSpan {
  readonly index: number
  readonly kind: number
  /** Of a large block. */
  readonly run: Run | undefined
}

/**
 * The shared table that says who owns which span. Everything read here is a hint: a peer may have written it. What it can
 * do by lying is hand out memory twice inside this heap, which spoils the heap's own data and nothing else; what this member
 * owns already it is never given again, whatever the table says.
 */
export class SpanDirectory {
  #cursor: number

  /** @param kinds what this member owns, privately: a kind per span, 0 = not ours. The caller keeps it up to date. */
  constructor(readonly words: Int32Array, readonly geometry: HeapGeometry, readonly kinds: Uint8Array) {
    this.#cursor = geometry.firstSpan
  }

  entry(index: number): number {
    return Atomics.load(this.words, Directory.WORD + index * 2)
  }

  setAux(index: number, value: number): void {
    Atomics.store(this.words, Directory.WORD + index * 2 + 1, value)
  }

  /** Tells the owner to look at the span's remote-free bits, one of which was set before. Pairs with {@link takeAux}. */
  raiseAux(index: number): void {
    const at = Directory.WORD + index * 2 + 1
    if (Atomics.load(this.words, at) === 0) Atomics.store(this.words, at, 1)
  }

  /** Whether blocks were freed remotely since the last time; resets the flag before the caller looks at the bits. */
  takeAux(index: number): boolean {
    const at = Directory.WORD + index * 2 + 1
    if (Atomics.load(this.words, at) === 0) return false
    Atomics.store(this.words, at, 0)
    return true
  }

  /** Marks a large block as freed. False when it was marked before. */
  markFreed(index: number): boolean {
    return (Atomics.or(this.words, Directory.WORD + index * 2, Entry.REMOTE_FREED) & Entry.REMOTE_FREED) === 0
  }

  /**
   * Claims `count` neighbouring free spans: the first gets `entry`, the others `continued`.
   * @returns index of the first span, or -1 when there is no such run.
   */
  claim(count: number, entry: number, continued: number): number {
    const { firstSpan, spanCount } = this.geometry
    for (let pass = 0, from = this.#cursor; pass < 2; pass++, from = firstSpan) {
      const end = pass === 0 ? spanCount : Math.min(spanCount, this.#cursor + count)
      let start = from
      while (start + count <= end) {
        const taken = this.#claimAt(start, count, entry, continued)
        if (taken < 0) {
          this.#cursor = start + count
          return start
        }
        start = taken + 1
      }
    }
    return -1
  }

  /** Claims a run, or gives back what it took. Returns the first span that was taken already, or -1 on success. */
  #claimAt(start: number, count: number, entry: number, continued: number): number {
    for (let i = 0; i < count; i++) {
      const at = Directory.WORD + (start + i) * 2
      const free = this.kinds[start + i] === 0 && Atomics.load(this.words, at) === 0
      if (free && Atomics.compareExchange(this.words, at, 0, i === 0 ? entry : continued) === 0) continue
      if (i > 0) this.releaseRun(start, entry, { count: i, continued })
      return start + i
    }
    return -1
  }

  /** Frees a span that carries the given entry (with or without Entry.REMOTE_FREED); another entry is left alone. */
  release(index: number, entry: number): void {
    const at = Directory.WORD + index * 2
    if (Atomics.compareExchange(this.words, at, entry, 0) !== entry) {
      Atomics.compareExchange(this.words, at, entry | Entry.REMOTE_FREED, 0)
    }
    if (index < this.#cursor) this.#cursor = index
  }

  /**
   * Frees a run whose head carries `entry`. Heads are claimed first and freed last, so that a `continued` span always follows
   * its head, and whoever owns the head owns the run: those of a dead member are never freed on their own.
   */
  releaseRun(head: number, entry: number, { count, continued }: Run): void {
    this.setAux(head, 0)
    for (let i = count - 1; i > 0; i--) this.release(head + i, continued)
    this.release(head, entry)
  }

  /**
   * Takes over every span of a dead member, one compare-and-swap each; the caller notes them as its own. A large block whose
   * claim or release the death interrupted, or that somebody had freed, is given back to everybody.
   */
  adopt(dead: number, member: number): AdoptedSpan[] {
    const adopted: AdoptedSpan[] = []
    const { firstSpan, spanCount } = this.geometry
    for (let index = firstSpan; index < spanCount; index++) {
      const entry = this.entry(index)
      const kind = entryKind(entry)
      if ((entry & Entry.MEMBER_MASK) !== dead || shapeOf(kind) === Kind.CONTINUED || this.kinds[index] !== 0) continue
      // Somebody may free the block between look and swap: then the second look sees the flag.
      const freed = this.#exchange(index, entry, makeEntry(member, kind)) ? entry & Entry.REMOTE_FREED
        : this.#exchange(index, entry | Entry.REMOTE_FREED, makeEntry(member, kind)) ? Entry.REMOTE_FREED : -1
      if (freed < 0) continue
      if (shapeOf(kind) === Kind.LARGE) {
        const promised = Atomics.load(this.words, Directory.WORD + index * 2 + 1)
        const run = this.#runAt(index, promised)
        if (freed === 0 && run.count === promised) adopted.push({ index, kind, run })
        else this.releaseRun(index, makeEntry(member, kind), run)
      } else if (this.#isClass(kind)) {
        adopted.push({ index, kind, run: undefined })
      } else {
        this.release(index, makeEntry(member, kind))
      }
    }
    return adopted
  }

  /** Members that own spans, as the directory says. */
  owners(): Set<number> {
    const owners = new Set<number>()
    for (let index = this.geometry.firstSpan; index < this.geometry.spanCount; index++) {
      const member = this.entry(index) & Entry.MEMBER_MASK
      if (member !== 0) owners.add(member)
    }
    return owners
  }

  /** Spans by member, as the directory says; those of 0 are free. A large block is its head's, whoever made it. */
  countByOwner(): Map<number, number> {
    const counts = new Map<number, number>()
    const { firstSpan, spanCount } = this.geometry
    let owner = 0
    // Neighbours mostly have one owner.
    let from = firstSpan
    for (let index = firstSpan; index < spanCount; index++) {
      const entry = this.entry(index)
      if (shapeOf(entryKind(entry)) === Kind.CONTINUED || (entry & Entry.MEMBER_MASK) === owner) continue
      if (index > from) counts.set(owner, (counts.get(owner) ?? 0) + index - from)
      owner = entry & Entry.MEMBER_MASK
      from = index
    }
    if (spanCount > from) counts.set(owner, (counts.get(owner) ?? 0) + spanCount - from)
    return counts
  }

  #exchange(index: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.words, Directory.WORD + index * 2, from, to) === from
  }

  #isClass(kind: number): boolean {
    const bytes = CLASS_BYTES[shapeOf(kind) - 1]
    return bytes !== undefined && bytes <= this.geometry.smallMax
  }

  /** The spans that really follow a head: as many as were promised, or all when the promise was not (or no longer) made. */
  #runAt(head: number, promised: number): Run {
    const continued = head + 1 < this.geometry.spanCount ? this.entry(head + 1) : 0
    let count = 1
    if (shapeOf(entryKind(continued)) === Kind.CONTINUED) {
      const end = Math.min(this.geometry.spanCount, head + (promised >= 1 ? promised : this.geometry.spanCount))
      while (head + count < end && this.kinds[head + count] === 0 && this.entry(head + count) === continued) count++
    }
    return { count, continued }
  }
}
