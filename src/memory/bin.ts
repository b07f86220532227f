import { BlockCache, type SpanTable } from './span-table.js'

const PARTIAL = 1
export const FULL = 2

/** A size class of one kind: the owned spans that its blocks come from, as slots of the span table (0 = none). */
export class Bin {
  current = 0
  readonly cache = new BlockCache()
  /** Spans with room, besides the current one. */
  readonly #partial: number[] = []
  /** Spans seen full: their remote frees are collected in turn. */
  readonly #full: number[] = []
  #cursor = 0

  constructor(readonly kind: number, readonly classIndex: number, readonly table: SpanTable) {}

  get fullCount(): number {
    return this.#full.length
  }

  get hasPartial(): boolean {
    return this.#partial.length > 0
  }

  addPartial(slot: number): void {
    if (this.table.list(slot) === PARTIAL) return
    this.#unlist(slot)
    this.table.place(slot, PARTIAL, this.#partial.push(slot) - 1)
  }

  addFull(slot: number): void {
    if (this.table.list(slot) === FULL) return
    this.#unlist(slot)
    this.table.place(slot, FULL, this.#full.push(slot) - 1)
  }

  /** A span with room, taken off the list, or 0. */
  takePartial(): number {
    const slot = this.#partial.pop()
    if (slot === undefined) return 0
    this.table.place(slot, 0, 0)
    return slot
  }

  /** The current span was found full, or there is none. */
  retireCurrent(): void {
    if (this.current !== 0) this.addFull(this.current)
    this.current = 0
  }

  /** The full spans in turn; 0 when there is none. */
  nextFull(): number {
    this.#cursor = this.#cursor + 1 < this.#full.length ? this.#cursor + 1 : 0
    return this.#full[this.#cursor] ?? 0
  }

  all(): number[] {
    return [...(this.current === 0 ? [] : [this.current]), ...this.#partial, ...this.#full]
  }

  remove(slot: number): void {
    if (this.current === slot) this.current = 0
    this.#unlist(slot)
  }

  #unlist(slot: number): void {
    const which = this.table.list(slot)
    if (which === 0) return
    const list = which === PARTIAL ? this.#partial : this.#full
    const last = list.pop()!
    if (last !== slot) {
      const position = this.table.position(slot)
      list[position] = last
      this.table.place(last, which, position)
    }
    this.table.place(slot, 0, 0)
  }
}
