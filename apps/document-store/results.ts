import type { Address, ObjectHeap } from 'rpcool'
import { Document, type DocumentView } from './service.js'
import type { Json } from './store/values.js'

/**
 * What a search found, without a copy: the documents' addresses, each of which becomes a view when it is read. The server keeps
 * the documents until this is disposed of: `using results = store.sync.find(…)`. Afterwards they must not be read any more.
 */
export class Results<Body = Json> implements Iterable<DocumentView<Body>>, Disposable {
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

  at(index: number): DocumentView<Body> | undefined {
    const address = this.#addresses.at(index)
    return address === undefined ? undefined : this.#heap.at(Document, address as Address) as DocumentView<Body>
  }

  [Symbol.iterator](): Iterator<DocumentView<Body>> {
    const heap = this.#heap
    const addresses = this.#addresses
    let i = 0
    return {
      next: (): IteratorResult<DocumentView<Body>> => (i < addresses.length
        ? { done: false, value: heap.at(Document, addresses[i++] as Address) as DocumentView<Body> } : { done: true, value: undefined }),
    }
  }

  /** Gives the result back. Idempotent. */
  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    this.#release()
  }
}

export interface Pair<Body = Json> {
  readonly left: DocumentView<Body>
  readonly right: DocumentView<Body>
}

/** Pairs of documents, as {@link Results} are documents. */
export class Pairs<Body = Json> implements Iterable<Pair<Body>>, Disposable {
  readonly #documents: Results<Body>

  /** @internal */
  constructor(documents: Results<Body>) {
    this.#documents = documents
  }

  get length(): number {
    return this.#documents.length / 2
  }

  *[Symbol.iterator](): IterableIterator<Pair<Body>> {
    let left: DocumentView<Body> | undefined
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
export class Got<Body = Json> implements Disposable {
  readonly #release: () => void
  #open = true

  /** @internal */
  constructor(readonly document: DocumentView<Body>, release: () => void) {
    this.#release = release
  }

  get key(): string {
    return this.document.key
  }

  get body(): DocumentView<Body>['body'] {
    return this.document.body
  }

  /** Gives it back. Idempotent. */
  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    this.#release()
  }
}
