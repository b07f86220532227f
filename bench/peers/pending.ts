import { Deferred } from '../support/deferred.js'

/** Calls that wait for their answer, by the number they were sent with. */
export class PendingCalls {
  readonly #waiting = new Map<number, Deferred<unknown>>()
  #last = 0

  /** Reserves a number; {@link answer} to it comes later, once it has been sent. */
  begin(): { readonly id: number; readonly answer: Promise<unknown> } {
    const id = (this.#last = (this.#last + 1) >>> 0)
    const deferred = new Deferred<unknown>()
    this.#waiting.set(id, deferred)
    return { id, answer: deferred.promise }
  }

  resolve(id: number, value: unknown): void {
    this.#take(id)?.resolve(value)
  }

  reject(id: number, error: Error): void {
    this.#take(id)?.reject(error)
  }

  rejectAll(error: Error): void {
    for (const deferred of this.#waiting.values()) deferred.reject(error)
    this.#waiting.clear()
  }

  #take(id: number): Deferred<unknown> | undefined {
    const deferred = this.#waiting.get(id)
    this.#waiting.delete(id)
    return deferred
  }
}
