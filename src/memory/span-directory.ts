import {
  DIRECTORY_WORD, type HeapGeometry, KIND_CHUNK, KIND_CONTINUED, KIND_LARGE, KIND_MASK, KIND_SHIFT, MEMBER_MASK, REMOTE_FREED,
  CLASS_BYTES,
} from '../layout/heap-layout.js'

export function makeEntry(member: number, kind: number): number {
  return member | (kind << KIND_SHIFT)
}

export function entryKind(entry: number): number {
  return (entry >>> KIND_SHIFT) & KIND_MASK
}

export interface AdoptedSpan {
  readonly index: number
  readonly kind: number
  /** Spans in the run of a large block; 1 otherwise. */
  readonly count: number
}

/**
 * The shared table that says who owns which span. Everything read here is a hint: a peer may have written it. What it can
 * do by lying is hand out memory twice inside this heap, which spoils the heap's own data and nothing else.
 */
export class SpanDirectory {
  #cursor: number

  constructor(readonly words: Int32Array, readonly geometry: HeapGeometry) {
    this.#cursor = geometry.firstSpan
  }

  entry(index: number): number {
    return Atomics.load(this.words, DIRECTORY_WORD + index * 2)
  }

  setAux(index: number, value: number): void {
    Atomics.store(this.words, DIRECTORY_WORD + index * 2 + 1, value)
  }

  /** Whether blocks were freed remotely since the last time; resets the flag before the caller looks at the bits. */
  takeAux(index: number): boolean {
    const at = DIRECTORY_WORD + index * 2 + 1
    if (Atomics.load(this.words, at) === 0) return false
    Atomics.store(this.words, at, 0)
    return true
  }

  /** Marks a large block as freed. False when it was marked before. */
  markFreed(index: number): boolean {
    return (Atomics.or(this.words, DIRECTORY_WORD + index * 2, REMOTE_FREED) & REMOTE_FREED) === 0
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
      const at = DIRECTORY_WORD + (start + i) * 2
      const free = Atomics.load(this.words, at) === 0
      if (free && Atomics.compareExchange(this.words, at, 0, i === 0 ? entry : continued) === 0) continue
      for (let back = 0; back < i; back++) this.release(start + back, back === 0 ? entry : continued)
      return start + i
    }
    return -1
  }

  /** Frees a span that carries the given entry (with or without REMOTE_FREED); another entry is left alone. */
  release(index: number, entry: number): void {
    const at = DIRECTORY_WORD + index * 2
    if (Atomics.compareExchange(this.words, at, entry, 0) !== entry) {
      Atomics.compareExchange(this.words, at, entry | REMOTE_FREED, 0)
    }
    if (index < this.#cursor) this.#cursor = index
  }

  releaseRun(head: number, count: number): void {
    const member = this.entry(head) & MEMBER_MASK
    // The head last: until then an adopter of a dead releaser still knows the run.
    for (let i = count - 1; i > 0; i--) this.release(head + i, makeEntry(member, KIND_CONTINUED))
    this.release(head, makeEntry(member, KIND_LARGE))
  }

  /** Takes over every span of a dead member. Spans whose run was never completed are freed. */
  adopt(dead: number, member: number): AdoptedSpan[] {
    const adopted: AdoptedSpan[] = []
    const { firstSpan, spanCount } = this.geometry
    for (let index = firstSpan; index < spanCount; ) {
      const entry = this.entry(index)
      if ((entry & MEMBER_MASK) !== dead) {
        index++
        continue
      }
      const kind = entryKind(entry)
      const count = kind === KIND_LARGE ? this.#runLength(index, dead) : 1
      const classIndex = (kind & (KIND_CHUNK - 1)) - 1
      const usable = kind === KIND_LARGE || (kind !== KIND_CONTINUED && classIndex >= 0 && CLASS_BYTES[classIndex]! <= this.geometry.smallMax)
      if (!usable || (entry & REMOTE_FREED) !== 0) {
        for (let i = count - 1; i >= 0; i--) this.release(index + i, this.entry(index + i) & ~REMOTE_FREED)
      } else if (Atomics.compareExchange(this.words, DIRECTORY_WORD + index * 2, entry, makeEntry(member, kind)) === entry) {
        for (let i = 1; i < count; i++) {
          const at = DIRECTORY_WORD + (index + i) * 2
          Atomics.compareExchange(this.words, at, makeEntry(dead, KIND_CONTINUED), makeEntry(member, KIND_CONTINUED))
        }
        adopted.push({ index, kind, count })
      }
      index += count
    }
    return adopted
  }

  /** Members that own spans, as the directory says. */
  owners(): Set<number> {
    const owners = new Set<number>()
    for (let index = this.geometry.firstSpan; index < this.geometry.spanCount; index++) {
      const member = this.entry(index) & MEMBER_MASK
      if (member !== 0) owners.add(member)
    }
    return owners
  }

  countFree(): number {
    let count = 0
    for (let index = this.geometry.firstSpan; index < this.geometry.spanCount; index++) {
      if (this.entry(index) === 0) count++
    }
    return count
  }

  /** Spans of a dead member's large run: as many as the head promises and really continue it. */
  #runLength(head: number, dead: number): number {
    const promised = Atomics.load(this.words, DIRECTORY_WORD + head * 2 + 1)
    let count = 1
    while (count < promised && head + count < this.geometry.spanCount &&
           (this.entry(head + count) & ~REMOTE_FREED) === makeEntry(dead, KIND_CONTINUED)) count++
    return count
  }
}
