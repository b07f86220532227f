import type { Address, ObjectHeap } from 'rpcool'
import { Document, type DocumentView } from './service.js'

/**
 * What a search found, without a copy: the documents' addresses, each of which becomes a view when it is read. The server keeps
 * the documents until this is disposed of: `using results = store.sync.find(…)`. Afterwards they must not be read any more.
 */
export class Results implements Iterable<DocumentView>, Disposable {
  readonly #heap: ObjectHeap
  readonly #addresses: Float64Array
  readonly #release: () => void
  #open = true

  /** @internal */
  constructor(heap: ObjectHeap, addresses: Float64Array, release: () => void) {
    this.#heap = heap
    this.#addresses = addresses
    this.#release = release
  }

  get length(): number {
    return this.#addresses.length
  }

  at(index: number): DocumentView | undefined {
    const address = this.#addresses.at(index)
    return address === undefined ? undefined : this.#heap.at(Document, address as Address)
  }

  [Symbol.iterator](): Iterator<DocumentView> {
    const heap = this.#heap
    const addresses = this.#addresses
    let i = 0
    return {
      next: (): IteratorResult<DocumentView> =>
        (i < addresses.length ? { done: false, value: heap.at(Document, addresses[i++] as Address) } : { done: true, value: undefined }),
    }
  }

  /** Gives the result back. Idempotent. */
  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    this.#release()
  }
}

export interface Pair {
  readonly left: DocumentView
  readonly right: DocumentView
}

/** Pairs of documents, as {@link Results} are documents. */
export class Pairs implements Iterable<Pair>, Disposable {
  readonly #documents: Results

  /** @internal */
  constructor(documents: Results) {
    this.#documents = documents
  }

  get length(): number {
    return this.#documents.length / 2
  }

  *[Symbol.iterator](): IterableIterator<Pair> {
    let left: DocumentView | undefined
    for (const document of this.#documents) {
      if (left !== undefined) yield { left, right: document }
      left = left === undefined ? document : undefined
    }
  }

  /** Gives the result back. Idempotent. */
  [Symbol.dispose](): void {
    this.#documents[Symbol.dispose]()
  }
}

/** One document, read where it lies, until it is disposed of. */
export class Got implements Disposable {
  readonly #release: () => void
  #open = true

  /** @internal */
  constructor(readonly document: DocumentView, release: () => void) {
    this.#release = release
  }

  get key(): string {
    return this.document.key
  }

  get body(): DocumentView['body'] {
    return this.document.body
  }

  /** Gives it back. Idempotent. */
  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    this.#release()
  }
}
