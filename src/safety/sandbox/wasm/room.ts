import { RpcError, WildPointerError } from '../../../base/errors.js'
import type { Address } from '../../../base/numbers.js'
import type { Region, RegionSpace } from '../../../memory/index.js'
import { MemoryWindow, wasm, WASM_PAGE_BYTES, type WasmFunction, type WasmMemory, type WasmModule } from '../../../sys/index.js'
import { PREPARED } from './prepare.js'

/** A range of some memory, as a sandbox has checked it. */
export interface WasmTarget {
  /** The connection whose data it is. */
  readonly owner: RegionSpace
  readonly home: Region
  /** Of the range: first word in `home`, length, address. */
  readonly word: number
  readonly words: number
  readonly high: number
  readonly low: number
}

/** How one module's memory is divided. */
export interface RoomPlan {
  readonly module: WasmModule
  /** Where the module expects its memory. */
  readonly memoryImport: { readonly module: string, readonly name: string }
  /** Pages of the module's own data, stack and temporary heap; the window for the region follows. */
  readonly privatePages: number
  readonly windowBytes: number
}

/**
 * One instance of a module with a memory of its own: private pages, then the window in which one region of shared memory is
 * shown or copied to. Whatever address the code computes lies in these, or traps.
 *
 * The memory has a fixed size, so that V8 never moves it.
 */
export class WasmRoom {
  /** What the window holds: the range (high, low, words) of this memory. */
  home: Region | null = null
  /** Whose data it is: private memory is wiped before it is somebody else's. */
  owner: RegionSpace | null = null
  /** The window shows the range itself, and not a copy of an earlier moment. */
  #shown = false
  high = 0
  low = 0
  words = 0
  /** Native addresses minus this are addresses in the room. */
  base = 0
  /** When it was used last, on its owner's clock. */
  used = 0
  readonly windowOffset: number
  readonly #plan: RoomPlan
  readonly #memory: WasmMemory
  readonly #window: MemoryWindow
  readonly #bytes: Uint8Array
  readonly #ints: Int32Array
  /** Words of the window that an earlier copy may have left something in. */
  #soiled = 0
  #exports: Readonly<Record<string, WasmFunction>>

  constructor(plan: RoomPlan) {
    this.#plan = plan
    this.windowOffset = plan.privatePages * WASM_PAGE_BYTES
    const pages = plan.privatePages + Math.ceil(plan.windowBytes / WASM_PAGE_BYTES)
    this.#memory = new wasm.Memory({ initial: pages, maximum: pages })
    this.#bytes = new Uint8Array(this.#memory.buffer)
    this.#ints = new Int32Array(this.#memory.buffer)
    this.#window = new MemoryWindow(this.#memory, this.windowOffset, plan.windowBytes)
    this.#exports = this.#instantiate()
  }

  /** The exported function of a name; it takes the number of steps first. @throws RpcError NOT_FOUND. */
  fn(name: string): WasmFunction {
    const fn = this.#exports[name]
    if (fn === undefined) throw new RpcError('NOT_FOUND', `the WebAssembly module exports no function "${name}"`)
    return fn
  }

  holds(home: Region, high: number, low: number, words: number): boolean {
    return this.#shown && this.low === low && this.words === words && this.home === home && this.high === high
  }

  /** Shows the range's pages themselves; it lies on whole pages of a shared mapping. Throws an errno error where that fails. */
  show(target: WasmTarget, address: Address): void {
    this.#wipeCopy()
    this.#bind(target)
    this.#window.show(address, target.words * 4)
    this.#shown = true
  }

  /** Copies the range: each word is read once. */
  copy(target: WasmTarget): void {
    const { home, word, words } = target
    this.#window.clear()
    this.#bind(target)
    const at = this.windowOffset >>> 2
    this.#ints.set(home.i32.subarray(word, word + words), at)
    if (this.#soiled > words) this.#ints.fill(0, at + words, at + this.#soiled)
    this.#soiled = words
  }

  /** Forgets the region, and everything that code over it may have left in private memory. */
  empty(): void {
    this.#window.clear()
    this.#wipeCopy()
    this.home = null
    this.owner = null
    this.words = 0
    this.#bytes.fill(0, 0, this.windowOffset)
    this.#exports = this.#instantiate()
  }

  /** A private copy of what the code has left somewhere in its memory. */
  bytes(offset: number, length: number): Uint8Array {
    if (offset + length > this.#bytes.length) {
      throw new WildPointerError(`the module answers ${length} bytes at ${offset}, beyond its memory of ${this.#bytes.length} bytes`)
    }
    return this.#bytes.slice(offset, offset + length)
  }

  /** What the error of a call says; afterwards the module's state cannot be relied on: {@link empty} the room. */
  errorOf(error: unknown, name: string, steps: number): unknown {
    if (error instanceof RangeError) return new WildPointerError(`${name}: the data is nested too deep for the code that walks it`)
    if (!(error instanceof wasm.RuntimeError)) return error
    if (Number(this.fn(PREPARED.stepsLeft)()) < 0) {
      return new RpcError('RESOURCE_EXHAUSTED', `${name} took more than ${steps} steps: the data is cyclic or too large, or the code endless`)
    }
    if (error.message.includes('out of bounds')) return new WildPointerError(`${name} followed a pointer out of the sandbox`)
    return new RpcError('INTERNAL', `${name} trapped: ${error.message}`)
  }

  #bind({ owner, home, high, low, words }: WasmTarget): void {
    if (this.owner !== null && this.owner !== owner) this.empty()
    this.#shown = false
    this.owner = owner
    this.home = home
    this.high = high
    this.low = low
    this.words = words
    this.base = (low - this.windowOffset) | 0
  }

  #wipeCopy(): void {
    if (this.#soiled > 0) this.#ints.fill(0, this.windowOffset >>> 2, (this.windowOffset >>> 2) + this.#soiled)
    this.#soiled = 0
  }

  #instantiate(): Readonly<Record<string, WasmFunction>> {
    const { module, memoryImport, privatePages } = this.#plan
    try {
      const instance = new wasm.Instance(module, { [memoryImport.module]: { [memoryImport.name]: this.#memory } })
      const exports = instance.exports as Readonly<Record<string, WasmFunction>>
      exports[PREPARED.begin]!(privatePages)
      return exports
    } catch (cause) {
      throw new RpcError('INVALID_ARGUMENT', `the WebAssembly module cannot be started: ${String(cause)}`, { cause })
    }
  }
}
