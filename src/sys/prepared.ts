import { readFileSync } from 'node:fs'
import { HEAPS_BASE, WINDOW_END } from './window-bounds.js'
import { PAGE_BYTES, type Address } from '../base/numbers.js'

/** Where a launcher says what it mapped into this process: see {@link formatPreparedHeaps}. */
export const PREPARED_HEAPS_VARIABLE = 'RPCOOL_PREPARED_HEAPS'

/** Heaps that a launcher may map into one program: also the native table's limit. */
export const PREPARED_HEAPS_MAX = 64

/** A range of this process that a trusted launcher mapped before its program began, and that the program can never unmap. */
export interface PreparedRange {
  readonly address: Address
  readonly byteLength: number
}

/** For {@link PREPARED_HEAPS_VARIABLE}: address and length of each, in hexadecimal. */
export function formatPreparedHeaps(ranges: readonly PreparedRange[]): string {
  return ranges.map(({ address, byteLength }) => `${address.toString(16)},${byteLength.toString(16)}`).join(';')
}

let known: readonly PreparedRange[] | undefined

/**
 * The heaps that a launcher mapped into this process, by address. A process that was started by such a program inherits its
 * environment and not its memory: only what is mapped counts.
 */
export function preparedHeaps(): readonly PreparedRange[] {
  return (known ??= isLaunched() ? parse(process.env[PREPARED_HEAPS_VARIABLE] ?? '', readFileSync('/proc/self/maps', 'latin1')) : [])
}

/** Whether this process, or one that started it, was started by a launcher: then it may be confined without having a heap. */
export function isLaunched(): boolean {
  return (process.env[PREPARED_HEAPS_VARIABLE] ?? '') !== ''
}

/** Exported for its test. `maps` as in proc_pid_maps(5). */
export function parse(text: string, maps: string): readonly PreparedRange[] {
  const mapped = new Set(Array.from(maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw-s /gm), ([, from, to]) => `${Number.parseInt(from!, 16)} ${Number.parseInt(to!, 16)}`))
  const ranges = text.split(';').map((one) => {
    const [address = Number.NaN, byteLength = Number.NaN] = one.split(',').map((number) => Number.parseInt(number, 16))
    return { address: address as Address, byteLength }
  })
  return ranges
    .filter(({ address, byteLength }) => address >= HEAPS_BASE && address + byteLength <= WINDOW_END && byteLength > 0 &&
      address % PAGE_BYTES === 0 && mapped.has(`${address} ${address + byteLength}`))
    .sort((a, b) => a.address - b.address)
    .slice(0, PREPARED_HEAPS_MAX)
}
