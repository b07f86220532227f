// The making of one object: its keys are followed through the tree of shapes as long as they lead to one.
import type { JsonBuilder } from './builder.js'
import { type Intern, type KeyNode, nextSequence } from './intern.js'
import { MAX_SHAPE_KEYS } from './limits.js'
import { stagedText } from './read.js'
import { cell, isStaged } from './staging.js'

/**
 * Leaves the tree: pushes the keys up to a node, whose values are on the stack already, and answers their sequence. From
 * then on every key is pushed beside its value.
 */
export function leaveTree(builder: JsonBuilder, node: KeyNode): number {
  const path: KeyNode[] = []
  for (let key = node; key.parent !== null; key = key.parent) path.push(key)
  for (let i = path.length - 1; i >= 0; i--) builder.pushNeedle(path[i]!.needle)
  return node.sequence
}

/** Closes an object that never left the tree; `isDocument` when it is all there will be. */
export function closeTracked(builder: JsonBuilder, start: number, node: KeyNode, isDocument = false): void {
  if (node.shapeHi !== 0 || node.parent === null) {
    if (isDocument) builder.closeDocument(node)
    else builder.closeShaped(start, node)
    return
  }
  const keyStart = builder.kp
  const sequence = leaveTree(builder, node)
  closeUntracked(builder, start, keyStart, sequence)
}

/** Closes an object whose keys were pushed. Keys that are met together for the second time get a shape for the third. */
export function closeUntracked(builder: JsonBuilder, start: number, keyStart: number, sequence: number): void {
  const { intern } = builder
  const count = builder.kp - keyStart >>> 1
  if (intern !== null && count <= MAX_SHAPE_KEYS && !intern.isFull && intern.meets(sequence)) remember(builder, intern, keyStart)
  builder.closeDictionary(start, keyStart)
}

function remember(builder: JsonBuilder, intern: Intern, keyStart: number): void {
  const { keys, kp } = builder
  const names: string[] = []
  for (let i = keyStart; i < kp; i += 2) {
    // A key that is in shared memory already would have to be read back: another time.
    if (!isStaged(keys[i]!, keys[i + 1]!)) return
    names.push(stagedText(builder.text, keys[i]!, keys[i + 1]!))
  }
  intern.nodeOf(names)
}

/** The keys of an object that is being written, one after the other; none of them twice. */
export class KeyTrack {
  readonly #builder: JsonBuilder
  readonly #start: number
  readonly #keyStart: number
  #node: KeyNode | null
  #sequence = 0

  /** @param node the keys so far, whose values are on the stack from `start`. */
  constructor(builder: JsonBuilder, start = builder.sp, node = builder.intern === null ? null : builder.intern.root) {
    this.#builder = builder
    this.#start = start
    this.#keyStart = builder.kp
    this.#node = node
  }

  /** A key whose value is pushed next. */
  enter(key: string): void {
    const node = this.#node
    if (node !== null) {
      this.#node = node.child(key)
      if (this.#node !== null) return
      this.#sequence = leaveTree(this.#builder, node)
    }
    const builder = this.#builder
    builder.writeString(key)
    builder.pushKey(cell.lo, cell.hi, cell.hash)
    this.#sequence = nextSequence(this.#sequence, cell.hash)
  }

  /** The key entered last has no value after all. */
  leaveOut(): void {
    const builder = this.#builder
    if (this.#node !== null) {
      this.#node = this.#node.parent
      return
    }
    builder.popKeys(builder.kp - 2)
    this.#sequence = 0
    for (let i = this.#keyStart; i < builder.kp; i += 2) this.#sequence = nextSequence(this.#sequence, builder.hashes[i >>> 1]!)
  }

  close(): void {
    if (this.#node !== null) closeTracked(this.#builder, this.#start, this.#node)
    else closeUntracked(this.#builder, this.#start, this.#keyStart, this.#sequence)
  }
}
