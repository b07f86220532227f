import type { ServerMethod } from '../service/method.js'

/** Methods with smaller numbers are found by index. */
const METHODS_INDEXED = 4096

/** Methods by id: small ids by index. */
export class MethodTable {
  readonly #indexed: (ServerMethod | undefined)[] = []
  readonly #others = new Map<number, ServerMethod>()

  /** Whether a method takes sealed arguments. */
  takeSeals = false

  set(method: ServerMethod): void {
    if (method.isolation === 'seal' || method.isolation === 'auto') this.takeSeals = true
    if (method.id < METHODS_INDEXED) this.#indexed[method.id] = method
    else this.#others.set(method.id, method)
  }

  has(id: number): boolean {
    return this.get(id) !== undefined
  }

  get(id: number): ServerMethod | undefined {
    return id < METHODS_INDEXED ? this.#indexed[id] : this.#others.get(id)
  }
}
