import binaryen from 'binaryen'

/**
 * A compiled handler. One would write it in AssemblyScript, C or Rust and read a .wasm file; here it is WebAssembly text, of this:
 *
 *     // a Node as it lies in memory: a header, its value at 4, the native pointer to the next at 8
 *     export function sum(at: usize, base: usize): i32 {
 *       let total = 0
 *       for (; at != 0; at = next == 0 ? 0 : next - base) { total += load<i32>(at, 4); next = load<u32>(at, 8) }
 *       return total
 *     }
 */
export const walk: Uint8Array = binaryen.parseText(`(module
  (import "env" "memory" (memory 1))
  (func (export "sum") (param $at i32) (param $base i32) (result i32) (local $total i32) (local $next i32)
    (block $end (loop $each
      (local.set $total (i32.add (local.get $total) (i32.load offset=4 (local.get $at))))
      (local.set $next (i32.load offset=8 (local.get $at)))
      (br_if $end (i32.eqz (local.get $next)))
      (local.set $at (i32.sub (local.get $next) (local.get $base)))
      (br $each)))
    (local.get $total)))`).emitBinary()
