declare const brand: unique symbol
type Branded<Name extends string> = number & { readonly [brand]: Name }

/** A native virtual address: a safe integer, the same in every process that maps the heap. */
export type Address = Branded<'Address'>
/** Bytes from the start of a heap's or region's buffer. */
export type ByteOffset = Branded<'ByteOffset'>

export const PAGE_BYTES = 4096
export const FOUR_GIB = 0x1_0000_0000

/** The 4 GiB slot an address lies in: its upper 32 bits. */
export function addressHigh(address: number): number {
  return Math.floor(address / FOUR_GIB)
}

/** The lower 32 bits of an address, as an unsigned number. */
export function addressLow(address: number): number {
  return address % FOUR_GIB
}

export function makeAddress(high: number, low: number): Address {
  return (high * FOUR_GIB + (low >>> 0)) as Address
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}
