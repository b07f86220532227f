// HalfSipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"), over words in the place of bytes. Whoever does not know
// the key finds no two texts that get the same hash but by chance, whatever the texts have in common.

let v0 = 0
let v1 = 0
let v2 = 0
let v3 = 0

function round(): void {
  v0 = v0 + v1 | 0
  v1 = (v1 << 5 | v1 >>> 27) ^ v0
  v0 = v0 << 16 | v0 >>> 16
  v2 = v2 + v3 | 0
  v3 = (v3 << 8 | v3 >>> 24) ^ v2
  v0 = v0 + v3 | 0
  v3 = (v3 << 7 | v3 >>> 25) ^ v0
  v2 = v2 + v1 | 0
  v1 = (v1 << 13 | v1 >>> 19) ^ v2
  v2 = v2 << 16 | v2 >>> 16
}

function take(word: number): void {
  v3 ^= word
  round()
  v0 ^= word
}

/** Hash of all words of a text, with the first word of its record, under a key of two words. Each word is read once. */
export function keyedHash(key0: number, key1: number, head: number, words: Int32Array, start: number, count: number): number {
  v0 = key0
  v1 = key1
  v2 = 0x6c79_6765 ^ key0
  v3 = 0x7465_6462 ^ key1
  for (let i = start; i < start + count; i++) take(words[i]!)
  take(head)
  v2 ^= 0xff
  round()
  round()
  round()
  return v1 ^ v3
}
