const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const ASCII_ZERO = 0x30

/** NoBench's spelling of a number: its binary digits with the prefix 0b, in base32 (RFC 4648) with padding. 5 is GBRDCMBR. */
export function encodeNumber(value: number): string {
  const digits = value === 0 ? 1 : 32 - Math.clz32(value)
  const length = digits + 2
  // A flat string, as a parser would make it, not a rope of pieces.
  const out = Buffer.alloc(Math.ceil(length / 5) * 8, '=')
  let bits = 0
  let held = 0
  let at = 0
  for (let i = 0; i < length; i++) {
    held = held << 8 | byteAt(value, digits, i)
    for (bits += 8; bits >= 5; bits -= 5) out[at++] = ALPHABET.charCodeAt(held >>> bits - 5 & 31)
    held &= 31
  }
  if (bits > 0) out[at] = ALPHABET.charCodeAt(held << 5 - bits & 31)
  return out.toString('latin1')
}

function byteAt(value: number, digits: number, index: number): number {
  if (index === 0) return ASCII_ZERO
  if (index === 1) return 'b'.charCodeAt(0)
  return ASCII_ZERO + (value >>> digits - (index - 1) & 1)
}
