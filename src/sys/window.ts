import { assert } from '../base/assert.js'
import { PAGE_BYTES, type Address } from '../base/numbers.js'
import { addon } from './addon.js'
import type { WasmMemory } from './wasm.js'

/**
 * Part of a WebAssembly memory in which pages of a heap can be shown: the same pages, at other addresses.
 *
 * The memory must have a fixed size (initial = maximum), so that V8 never moves or grows it; when V8 frees it, what is shown
 * goes with it, and the heap does not. The pages stay while shown, also when the heap is unmapped: whoever opened the window
 * closes it. Every byte of it can always be read and written.
 */
export class MemoryWindow {
  // Held, so that the memory lives as long as anything is shown in it.
  readonly #memory: WasmMemory
  #shown = 0

  constructor(memory: WasmMemory, readonly offset: number, readonly byteLength: number) {
    this.#memory = memory
    assert(offset % PAGE_BYTES === 0 && offset + byteLength <= memory.buffer.byteLength, 'a window lies inside its memory, on whole pages')
  }

  /** Shows `byteLength` bytes from `address` on, which must be mapped and shared; what was shown before goes. */
  show(address: Address, byteLength: number): void {
    assert(byteLength <= this.byteLength, 'what is shown fits into the window')
    if (this.#shown > byteLength) addon.closeWindow(this.#memory.buffer, this.offset + byteLength, this.#shown - byteLength)
    this.#shown = byteLength
    addon.openWindow(this.#memory.buffer, this.offset, byteLength, address)
  }

  /** Private zero pages from now on. */
  clear(): void {
    if (this.#shown > 0) addon.closeWindow(this.#memory.buffer, this.offset, this.#shown)
    this.#shown = 0
  }
}
