// Private memory in which a document takes shape: cells of finished records, texts, and the stack of values not yet in a record.
import { RpcError } from '../../base/errors.js'
import { CONSTANT, INLINE_TEXT, INLINE_UNITS, INT, NEAR_TEXT, RELATIVE, TEXT } from '../../layout/json-layout.js'
import { MAX_TEXT_UNITS } from '../limits.js'
import { TWO_BYTE } from '../text/read.js'
import { hashEnd, hashInline, hashStep, hashWords, type Needle, nearHigh } from './needle.js'

/** Kept for the next document; what a large one needed is given up. */
const KEPT_WORDS = 1 << 18
/** Up to here a loop over charCodeAt beats the encoder (measured). */
const LOOP_UNITS = 48

const double = new Float64Array(1)
const halves = new Int32Array(double.buffer)
const encoder = new TextEncoder()

/** Words of staged memory; see the names. Addresses in it are relative: (word in its area) * 4 + RELATIVE. */
export abstract class Staging {
  cells: Int32Array = new Int32Array(4096)
  cellsUsed = 0
  text: Int32Array = new Int32Array(8192)
  bytes: Uint8Array = new Uint8Array(this.text.buffer)
  textUsed = 0
  /** Two words a value. */
  stack: Int32Array = new Int32Array(1024)
  sp = 0
  /** Keys of objects that have no shape, two words each, and their hashes. */
  keys: Int32Array = new Int32Array(1024)
  hashes: Int32Array = new Int32Array(512)
  kp = 0

  /** Called before words are staged. */
  protected abstract makeRoom(words: number): void

  protected clear(): void {
    this.cellsUsed = 0
    this.textUsed = 0
    this.sp = 0
    this.kp = 0
    if (this.cells.length > KEPT_WORDS) this.cells = new Int32Array(4096)
    if (this.text.length > KEPT_WORDS) this.#setText(new Int32Array(8192))
    if (this.stack.length > KEPT_WORDS) this.stack = new Int32Array(1024)
    if (this.keys.length > KEPT_WORDS) {
      this.keys = new Int32Array(1024)
      this.hashes = new Int32Array(512)
    }
  }

  #setText(text: Int32Array): void {
    this.text = text
    this.bytes = new Uint8Array(text.buffer)
  }

  push(lo: number, hi: number): void {
    const { stack, sp } = this
    if (sp + 2 > stack.length) {
      this.stack = grown(stack, sp + 2)
      this.push(lo, hi)
      return
    }
    stack[sp] = lo
    stack[sp + 1] = hi
    this.sp = sp + 2
  }

  pushConstant(which: number): void {
    this.push(which, CONSTANT << 16)
  }

  /** Any number: a double where it is no integer of 32 bits. */
  pushNumber(value: number): void {
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
      this.push(value, INT << 16)
      return
    }
    double[0] = value
    this.push(halves[0]!, halves[1]!)
  }

  pushKey(lo: number, hi: number, hash: number): void {
    const { keys, kp } = this
    if (kp + 2 > keys.length) {
      this.keys = grown(keys, kp + 2)
      const hashes = new Int32Array(this.keys.length >>> 1)
      hashes.set(this.hashes)
      this.hashes = hashes
      this.pushKey(lo, hi, hash)
      return
    }
    keys[kp] = lo
    keys[kp + 1] = hi
    this.hashes[kp >>> 1] = hash
    this.kp = kp + 2
  }

  /** A key whose form is known. */
  pushNeedle({ inline, lo, hi, head, words, hash }: Needle): void {
    if (inline) {
      this.pushKey(lo, hi, hash)
      return
    }
    const at = this.reserveText(1 + words.length)
    this.text[at] = head
    for (let i = 0; i < words.length; i++) this.text[at + 1 + i] = words[i]!
    this.textUsed = at + 1 + words.length
    this.pushKey(at << 2 | RELATIVE, hi, hash)
  }

  /** Drops values, or keys, down to a position. */
  abstract pop(to: number): void
  abstract popKeys(to: number): void

  /** Words for a record; filled by the caller, at once. */
  protected record(words: number): number {
    this.makeRoom(words)
    const at = this.cellsUsed
    if (at + words > this.cells.length) this.cells = grown(this.cells, at + words)
    this.cellsUsed = at + words
    return at
  }

  /** Makes room for a text's record of at most so many words; the caller moves `textUsed` to what it needed. */
  reserveText(words: number): number {
    this.makeRoom(words)
    const at = this.textUsed
    if (at + words > this.text.length) this.#setText(grown(this.text, at + words))
    return at
  }

  /** Stages a string that is a value. */
  pushString(text: string): void {
    const units = text.length
    if (units <= INLINE_UNITS && this.#writeInline(text, units)) {
      this.push(cell.lo, cell.hi)
      return
    }
    if (units > LOOP_UNITS) {
      this.#writeLong(text, units)
      this.push(cell.lo, cell.hi)
      return
    }
    const at = this.reserveText(1 + (units + 1 >>> 1))
    const words = this.text
    // Four units a step, put together in a register: bytes that were just stored one by one are slow to read as a word.
    const whole = units & ~3
    let to = at + 1
    let all = 0
    let hash = 0
    for (let i = 0; i < whole; i += 4, to++) {
      const a = text.charCodeAt(i)
      const b = text.charCodeAt(i + 1)
      const c = text.charCodeAt(i + 2)
      const d = text.charCodeAt(i + 3)
      all |= a | b | c | d
      const word = a | b << 8 | c << 16 | d << 24
      words[to] = word
      hash = hashStep(hash, word)
    }
    if (units > whole) {
      // The last four units, of which some were taken already: a loop over one to three would be guessed wrong most often.
      const b = text.charCodeAt(units - 3)
      const c = text.charCodeAt(units - 2)
      const d = text.charCodeAt(units - 1)
      all |= b | c | d
      const word = (b << 8 | c << 16 | d << 24) >>> (4 - units + whole) * 8
      words[to++] = word
      hash = hashStep(hash, word)
    }
    if (all > 0xff) {
      this.#writeWide(text, units, at)
      this.push(cell.lo, cell.hi)
      return
    }
    words[at] = units
    this.textUsed = to
    hash = hashEnd(hash, units)
    cell.hash = hash
    this.push(at << 2 | RELATIVE, nearHigh(hash))
  }

  /** Stages a string; leaves what its cell and hash are in {@link cell}. */
  writeString(text: string): void {
    this.pushString(text)
    const { stack } = this
    const sp = this.sp -= 2
    cell.lo = stack[sp]!
    cell.hi = stack[sp + 1]!
  }

  /** Leaves its cell in {@link cell}; false when the text does not fit into one. */
  #writeInline(text: string, units: number): boolean {
    let all = 0
    let lo = 0
    const low = units < 4 ? units : 4
    for (let i = 0; i < low; i++) {
      const unit = text.charCodeAt(i)
      all |= unit
      lo |= unit << i * 8
    }
    let hi = INLINE_TEXT << 16 | units << 8
    if (units > 4) {
      const fifth = text.charCodeAt(4)
      all |= fifth
      hi |= fifth
    }
    if (all > 0xff) return false
    cell.lo = lo
    cell.hi = hi
    cell.hash = hashInline(lo, hi)
    return true
  }

  #writeWide(text: string, units: number, at: number): void {
    const end = at + 1 + (units + 1 >>> 1)
    this.text[end - 1] = 0
    const { bytes } = this
    let to = (at + 1) * 4
    for (let i = 0; i < units; i++, to += 2) {
      const unit = text.charCodeAt(i)
      bytes[to] = unit
      bytes[to + 1] = unit >>> 8
    }
    this.endText(at, units | TWO_BYTE, end)
  }

  #writeLong(text: string, units: number): void {
    if (units > MAX_TEXT_UNITS) throw new RpcError('INVALID_ARGUMENT', `a text has at most ${MAX_TEXT_UNITS} code units`)
    const at = this.reserveText(1 + (units + 1 >>> 1))
    const start = (at + 1) * 4
    const end = at + 1 + (units + 3 >>> 2)
    this.text[end - 1] = 0
    const { read, written } = encoder.encodeInto(text, this.bytes.subarray(start, start + units))
    if (read === units && written === units) this.endText(at, units, end)
    else if (/[^\0-\xff]/.test(text)) this.#writeWideLong(text, units, at)
    else {
      this.text[end - 1] = 0
      Buffer.from(this.bytes.buffer, start, units).write(text, 'latin1')
      this.endText(at, units, end)
    }
  }

  #writeWideLong(text: string, units: number, at: number): void {
    const end = at + 1 + (units + 1 >>> 1)
    this.text[end - 1] = 0
    Buffer.from(this.bytes.buffer, (at + 1) * 4, units * 2).write(text, 'utf16le')
    this.endText(at, units | TWO_BYTE, end)
  }

  /** Ends a text's record whose units are in place. */
  endText(at: number, head: number, end: number): void {
    this.text[at] = head
    this.textUsed = end
    const hash = hashWords(head, this.text, at + 1, end - at - 1)
    cell.hash = hash
    cell.lo = at << 2 | RELATIVE
    cell.hi = (head & TWO_BYTE) === 0 ? nearHigh(hash) : TEXT << 16
  }
}

/** The cell of the text that was staged last. */
export const cell = { lo: 0, hi: 0, hash: 0 }

/** Whether a staged cell's text lies in the staged area still. */
export function isStaged(lo: number, hi: number): boolean {
  const tag = hi >> 16
  return tag === INLINE_TEXT || (tag === NEAR_TEXT || tag === TEXT) && (lo & RELATIVE) !== 0
}

function grown(array: Int32Array, words: number): Int32Array {
  const larger = new Int32Array(Math.max(words, array.length * 2))
  larger.set(array)
  return larger
}
