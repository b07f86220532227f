/**
 * One size class of one kind, as far as it is not in the table of {@link SmallBlocks}: its owned spans, and the one whose
 * blocks are handed out for the first time. Private to one isolate.
 */
export class Bin {
  readonly blockWords: number
  readonly blockCount: number
  /** Spans without a live block, the fresh one aside: all their blocks lie on the stack. */
  empties = 0
  freshSpan = 0
  freshWord = 0
  /** Blocks of the fresh span that were never handed out. */
  freshLeft = 0
  /** Every owned span of this kind. */
  readonly spans: number[] = []
  #cursor = 0

  constructor(readonly kind: number, readonly blockBytes: number, spanBytes: number) {
    this.blockWords = blockBytes >>> 2
    this.blockCount = Math.floor(spanBytes / blockBytes)
  }

  /** The owned spans in turn. There must be one. */
  nextSpan(): number {
    this.#cursor = this.#cursor + 1 < this.spans.length ? this.#cursor + 1 : 0
    return this.spans[this.#cursor]!
  }
}
