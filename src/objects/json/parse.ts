// A document straight from its text: no JavaScript object is made on the way, and the stack is the builder's.
import { RpcError } from '../../base/errors.js'
import { FALSE, NULL, TRUE } from '../../layout/json-layout.js'
import type { Allocator } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import type { Built, JsonBuilder } from './builder.js'
import { dropDuplicates } from './duplicates.js'
import { withBuilder } from './from-value.js'
import { type KeyNode, nextSequence } from './intern.js'
import { MAX_JSON_DEPTH } from './limits.js'
import { closeTracked, closeUntracked, leaveTree } from './objects.js'
import { type Input, inputOf } from './parse-input.js'
import { parseNumber } from './parse-number.js'
import { parseString } from './parse-string.js'
import { cell } from './staging.js'

/** Writes the document that a text says, as JSON.parse understands it. @throws RpcError INVALID_ARGUMENT saying where it is wrong. */
export function writeParsed(source: Source, allocator: Allocator, text: unknown): Built {
  const input = inputOf(text)
  return withBuilder(source, allocator, (builder) => new Parser(input, builder).run())
}

/** One object or array that is not closed yet. */
class Frame {
  isObject = false
  start = 0
  keyStart = 0
  sequence = 0
  /** The keys so far; null when they lie beside the values. */
  node: KeyNode | null = null
}

const COMMA = 0x2c

// One parser runs at a time, as no other code runs in between.
const frames: Frame[] = []

class Parser {
  readonly #input: Input
  readonly #builder: JsonBuilder
  readonly #frames = frames

  constructor(input: Input, builder: JsonBuilder) {
    this.#input = input
    this.#builder = builder
  }

  run(): void {
    const input = this.#input
    const { bytes, end } = input
    const builder = this.#builder
    let depth = 0
    let frame: Frame = this.#frame(0)
    let pos = input.skip(0)
    for (;;) {
      // Here a value starts.
      const first: number = pos < end ? bytes[pos]! : 0
      switch (first) {
        case 0x22:
          pos = parseString(input, builder, pos + 1)
          builder.push(cell.lo, cell.hi)
          break
        case 0x7b:
          frame = this.#open(++depth, pos, true)
          pos = input.skip(pos + 1)
          if (bytes[pos] !== 0x7d) {
            pos = this.#key(frame, pos)
            continue
          }
          builder.closeShaped(frame.start, null)
          frame = this.#frame(--depth)
          pos++
          break
        case 0x5b:
          frame = this.#open(++depth, pos, false)
          pos = input.skip(pos + 1)
          if (bytes[pos] !== 0x5d) continue
          builder.closeArray(frame.start)
          frame = this.#frame(--depth)
          pos++
          break
        case 0x74:
          pos = this.#word(pos, 'true', TRUE)
          break
        case 0x66:
          pos = this.#word(pos, 'false', FALSE)
          break
        case 0x6e:
          pos = this.#word(pos, 'null', NULL)
          break
        default:
          if (!isNumber(first)) input.fail(pos, 'a value')
          pos = parseNumber(input, builder, pos)
      }
      // Here one has ended, and perhaps what it was the last of.
      for (;;) {
        let byte = bytes[pos]
        if (byte! <= 0x20) {
          pos = input.skip(pos)
          byte = bytes[pos]
        }
        if (depth === 0) {
          if (pos < end) input.fail(pos, 'the end of the text')
          return
        }
        if (byte === COMMA) {
          pos = input.skip(pos + 1)
          if (frame.isObject) pos = this.#key(frame, pos)
          break
        }
        if (frame.isObject) {
          if (byte !== 0x7d) input.fail(pos, 'a comma or the end of the object')
          this.#closeObject(frame)
        } else {
          if (byte !== 0x5d) input.fail(pos, 'a comma or the end of the array')
          builder.closeArray(frame.start)
        }
        pos++
        frame = this.#frame(--depth)
      }
    }
  }

  #frame(depth: number): Frame {
    return this.#frames[depth] ??= new Frame()
  }

  #open(depth: number, pos: number, isObject: boolean): Frame {
    if (depth > MAX_JSON_DEPTH) {
      throw new RpcError('INVALID_ARGUMENT', `JSON is nested at most ${MAX_JSON_DEPTH} deep here; at byte ${pos} it goes deeper`)
    }
    const frame = this.#frame(depth)
    const builder = this.#builder
    frame.isObject = isObject
    frame.start = builder.sp
    frame.keyStart = builder.kp
    frame.sequence = 0
    frame.node = isObject && builder.intern !== null ? builder.intern.root : null
    return frame
  }

  /** Reads a key and its colon; returns the position of the value. */
  #key(frame: Frame, start: number): number {
    const input = this.#input
    const { bytes } = input
    if (bytes[start] !== 0x22) input.fail(start, 'a key in quotes')
    let pos = start + 1
    const { node } = frame
    const next = node === null ? null : node.next
    const length = next === null ? 0 : next.matches(input, pos)
    if (length > 0) {
      frame.node = next
      pos += length
    } else pos = this.#otherKey(frame, pos)
    if (bytes[pos] !== 0x3a) {
      pos = input.skip(pos)
      if (bytes[pos] !== 0x3a) input.fail(pos, 'a colon')
    }
    pos++
    return bytes[pos]! <= 0x20 ? input.skip(pos) : pos
  }

  /** A key that was not expected. */
  #otherKey(frame: Frame, start: number): number {
    const builder = this.#builder
    const pos = parseString(this.#input, builder, start)
    const { lo, hi, hash } = cell
    const { node } = frame
    if (node !== null) {
      const child = node.children.get(hash)
      if (child !== undefined && child.needle.equalsStaged(builder.text, lo, hi)) {
        // The staged key is not needed.
        if (!child.needle.inline) builder.textUsed = lo >>> 2
        node.next = child
        frame.node = child
        return pos
      }
      frame.node = null
      frame.sequence = this.#leave(node, lo, hi)
    } else builder.pushKey(lo, hi, hash)
    frame.sequence = nextSequence(frame.sequence, hash)
    return pos
  }

  // The key that leads out of the tree is staged already, and must stay behind the others.
  #leave(node: KeyNode, lo: number, hi: number): number {
    const builder = this.#builder
    const { hash } = cell
    builder.push(lo, hi)
    const sequence = leaveTree(builder, node)
    const at = builder.sp - 2
    builder.pushKey(builder.stack[at]!, builder.stack[at + 1]!, hash)
    builder.pop(at)
    return sequence
  }

  #closeObject(frame: Frame): void {
    const builder = this.#builder
    if (frame.node !== null) {
      closeTracked(builder, frame.start, frame.node)
      return
    }
    const sequence = dropDuplicates(builder, frame.start, frame.keyStart) ?? frame.sequence
    closeUntracked(builder, frame.start, frame.keyStart, sequence)
  }

  #word(pos: number, word: string, value: number): number {
    const { bytes } = this.#input
    for (let i = 1; i < word.length; i++) if (bytes[pos + i] !== word.charCodeAt(i)) this.#input.fail(pos + i, `the rest of ${word}`)
    this.#builder.pushConstant(value)
    return pos + word.length
  }
}

function isNumber(byte: number): boolean {
  return byte === 0x2d || byte >= 0x30 && byte <= 0x39
}
