import { RpcError } from '../base/errors.js'

/*
 * Every shared file starts with the same line:
 *
 *   +0   u32 magic 'RPCo'
 *   +4   u32 magic of the kind of file
 *   +8   u32 version of the layout
 *   +12  u32 fingerprint of the layout's constants
 *   +16  u32 geometry (meaning depends on the kind)
 *   +20 … +63  what the kind says; zero at first
 */
export const HEADER_BYTES = 64
export const MAGIC = 0x6f435052
export const LAYOUT_VERSION = 2

export interface FileHeader {
  readonly kind: number
  readonly fingerprint: number
  readonly geometry: number
}

/** FNV-1a over the numbers that make a layout: two builds with other offsets get other fingerprints. */
export function fingerprintOf(numbers: readonly number[]): number {
  let hash = 0x811c9dc5
  for (const number of numbers) {
    for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((number >>> shift) & 0xff), 0x01000193)
  }
  return hash | 0
}

/**
 * Checks the header of a file, writing it first when the file is new (all attachers write the same words, so that a race
 * is harmless). Nothing else of a file is trusted because its header is right.
 */
export function attachHeader(words: Int32Array, header: FileHeader, what: string): void {
  const found = Atomics.load(words, 0)
  if (found === 0) {
    words[1] = header.kind
    words[2] = LAYOUT_VERSION
    words[3] = header.fingerprint
    words[4] = header.geometry
    // Pairs with the load above in the other attachers.
    Atomics.store(words, 0, MAGIC)
    return
  }
  const [kind, version, fingerprint, geometry] = [words[1], words[2], words[3], words[4]]
  if (found !== MAGIC || kind !== header.kind) {
    throw new RpcError('FAILED_PRECONDITION', `this is not the memory of a ${what}`)
  }
  if (version !== LAYOUT_VERSION || fingerprint !== header.fingerprint || geometry !== header.geometry) {
    throw new RpcError('FAILED_PRECONDITION',
      `the peer lays out a ${what} in another way (version ${version}, fingerprint ${fingerprint}; ours ` +
      `${LAYOUT_VERSION}, ${header.fingerprint}); use the same version of rpcool on both sides`)
  }
}
