/** A promise and its two ends. A rejection that nobody awaits is not an unhandled one: its owner reports it otherwise. */
export class Deferred<T> {
  readonly promise: Promise<T>
  #resolve!: (value: T) => void
  #reject!: (reason: Error) => void

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.promise.catch(() => undefined)
  }

  resolve(value: T): void {
    this.#resolve(value)
  }

  reject(reason: Error): void {
    this.#reject(reason)
  }
}
