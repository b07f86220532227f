import type { DocumentView } from './service.js'

/** Documents found: pointers, in the reply's own memory, to where each lies in the store. */
interface Pointers<T> extends Iterable<T>, Disposable {
  readonly length: number
  at(index: number): T | undefined
}

/**
 * What a search found, without a copy: each element is read where it lies. The server keeps what is in it until it is disposed
 * of: `using results = store.sync.find(…)`. Afterwards its documents must not be read any more.
 */
export class Results<T = DocumentView> implements Iterable<T>, Disposable {
  readonly #pointers: Pointers<T | null>
  readonly #release: () => void
  #open = true

  /** @internal */
  constructor(pointers: Pointers<T | null>, release: () => void) {
    this.#pointers = pointers
    this.#release = release
  }

  get length(): number {
    return this.#pointers.length
  }

  at(index: number): T | undefined {
    return this.#pointers.at(index) ?? undefined
  }

  *[Symbol.iterator](): IterableIterator<T> {
    const { length } = this
    for (let i = 0; i < length; i++) {
      const one = this.#pointers.at(i)
      if (one !== null && one !== undefined) yield one
    }
  }

  /** Gives the result back. Idempotent. */
  [Symbol.dispose](): void {
    if (!this.#open) return
    this.#open = false
    this.#pointers[Symbol.dispose]()
    this.#release()
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
