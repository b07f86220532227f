const decoded = { point: 0, next: 0 }
const REPLACEMENT = 0xfffd

/**
 * The code point at a position, whose byte is not ASCII, and the position behind it. What is not UTF-8 becomes U+FFFD, as
 * many as the WHATWG decoder makes of it. By hand, because bytes that another thread may change are nothing for native code.
 */
export function decodeUtf8(bytes: Uint8Array, pos: number, end: number): typeof decoded {
  const first = bytes[pos]!
  const length = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 1
  decoded.next = pos + 1
  decoded.point = REPLACEMENT
  if (length === 1) return decoded
  // The second byte is limited where the form would be too long, a surrogate, or beyond Unicode.
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  let point = first & (0x7f >> length)
  for (let i = 1; i < length; i++) {
    const byte = pos + i < end ? bytes[pos + i]! : 0
    if (byte < (i === 1 ? low : 0x80) || byte > (i === 1 ? high : 0xbf)) return decoded
    decoded.next = pos + i + 1
    point = point << 6 | byte & 0x3f
  }
  decoded.point = point
  return decoded
}
