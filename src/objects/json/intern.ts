// The shapes that this isolate makes in a heap: a private tree of keys, whose nodes name shapes in shared memory.
import { SHAPE_BEFORE, SHAPE_MAGIC, SHAPE_WORDS } from '../../layout/json-layout.js'
import type { Allocator } from '../../memory/region.js'
import { RpcError } from '../../base/errors.js'
import { MAX_SHAPE_KEYS, MAX_SHAPE_WORDS, MAX_SHAPES_MADE, MAX_TREE_NODES } from './limits.js'
import { needleOf, type Needle } from './needle.js'
import type { Input } from './parse-input.js'
import type { Shape } from './shapes.js'
import { heapDebug } from '../../memory/heap-debug.js'
import { ShapeList } from './shape-list.js'

/** Sequences of keys that were met once: 2^12. */
const REMEMBERED = 4096
/** A power of two. */
const RECENT_DEPTHS = 8

/** A list of keys on the way from the tree's root. */
export class KeyNode {
  readonly children = new Map<number, KeyNode>()
  /** The same by their keys, for a writer that has no hash yet. */
  readonly byKey = new Map<string, KeyNode>()
  /** The child that was taken last: most often the one that is taken next. */
  next: KeyNode | null = null
  /** One that leads through this node: the last one that was found by looking for this child. */
  path: KeyPath | null = null
  /** Address of the shape with exactly these keys; 0 = none. */
  shapeLo = 0
  shapeHi = 0
  // The key and its closing quote as they most often stand in a text, in plain ASCII without escapes; none when not so. The first
  // words lie here, because an array costs the checks of an array.
  readonly #quoted: Buffer
  readonly #length: number
  readonly #first: number
  readonly #second: number
  readonly #words: Int32Array
  /** Its last four bytes, which may overlap the words before. */
  readonly #last: number

  /** @param needle the last of the keys. */
  constructor(
    readonly parent: KeyNode | null, readonly needle: Needle, readonly key: string, readonly depth: number, readonly sequence: number,
    /** Words that the keys take in a shape. */
    readonly words: number,
  ) {
    const plain = /^[ !#-[\]-~]*$/.test(key)
    this.#quoted = plain ? Buffer.from(`${key}"`, 'latin1') : Buffer.alloc(0)
    this.#length = this.#quoted.length
    this.#words = Int32Array.from({ length: Math.max(0, this.#length - 1) >>> 2 }, (_, i) => this.#quoted.readInt32LE(i * 4))
    this.#first = this.#words[0] ?? 0
    this.#second = this.#words[1] ?? 0
    this.#last = this.#length < 4 ? 0 : this.#quoted.readInt32LE(this.#length - 4)
  }

  /** Bytes that the key and its closing quote take in a text at this position, or 0 when something else stands there. */
  matches({ view, offset, bytes, end }: Input, pos: number): number {
    const length = this.#length
    if (pos + length > end || length === 0) return 0
    if (length < 4) {
      for (let i = 0; i < length; i++) if (bytes[pos + i] !== this.#quoted[i]) return 0
      return length
    }
    const start = offset + pos
    if (view.getInt32(start + length - 4, true) !== this.#last) return 0
    if (length > 4 && view.getInt32(start, true) !== this.#first) return 0
    if (length > 8 && view.getInt32(start + 4, true) !== this.#second) return 0
    return length <= 12 || this.#restMatches(view, start) ? length : 0
  }

  #restMatches(view: DataView, start: number): boolean {
    const words = this.#words
    for (let i = 2; i < words.length; i++) if (view.getInt32(start + i * 4, true) !== words[i]) return false
    return true
  }

  /** The node with one key more, or null. */
  child(key: string): KeyNode | null {
    const { next } = this
    if (next !== null && next.key === key) return next
    const child = this.byKey.get(key)
    if (child === undefined) return null
    this.next = child
    return child
  }
}

/**
 * A way through the tree, as lists. Comparing keys with a list of them reads memory in its order; following the nodes would be to wait for
 * one address after the other (measured: a third of all that building an object took).
 */
export class KeyPath {
  constructor(readonly keys: readonly string[], readonly nodes: readonly KeyNode[]) {}

  static to(node: KeyNode): KeyPath {
    const nodes: KeyNode[] = []
    for (let key = node; key.parent !== null; key = key.parent) nodes.push(key)
    nodes.reverse()
    return new KeyPath(nodes.map(({ key }) => key), nodes)
  }
}

/** Names a sequence of keys by a number, step by step. */
export function nextSequence(sequence: number, hash: number): number {
  return Math.imul(sequence, 31) + hash | 0
}

/**
 * The shapes in the heap of one allocator, as one isolate uses them: those of other members too. The shapes' memory is the heap's
 * for ever: documents that live on, and readers, rely on it. So their number is bounded, and only keys that occur together for
 * the second time become a shape.
 */
export class Intern {
  readonly root = new KeyNode(null, needleOf(''), '', 0, 0, SHAPE_WORDS)
  /** By depth: the way of the object that was written last. What is nested equally deep is most often alike. */
  readonly #recent: KeyPath[] = Array.from({ length: RECENT_DEPTHS }, () => new KeyPath([], []))
  /** The nodes of shapes that documents were copied with. */
  readonly copies = new Map<Shape, KeyNode | null>()
  readonly #seen = new Int32Array(REMEMBERED)
  readonly #list: ShapeList | null
  #nodes = 0
  #shapes = 0

  constructor(readonly allocator: Allocator) {
    const { shapesPlace } = allocator
    this.#list = shapesPlace === undefined ? null : new ShapeList(shapesPlace)
    this.#learn()
  }

  /** How many shapes are known. */
  get shapes(): number {
    return this.#shapes
  }

  /** There will be no more shapes: so many were made, of so many keys. */
  get isFull(): boolean {
    return this.#nodes >= MAX_TREE_NODES || this.#shapes >= MAX_SHAPES_MADE
  }

  /** The way that an object at this depth will probably take. */
  recentPath(depth: number): KeyPath {
    return this.#recent[depth & RECENT_DEPTHS - 1]!
  }

  /** Where a way has come to after so many keys. */
  nodeOn(path: KeyPath, count: number): KeyNode {
    return count === 0 ? this.root : path.nodes[count - 1]!
  }

  /**
   * An object has taken this way.
   * @param turn where the first key was not the one that was expected.
   */
  took(depth: number, path: KeyPath, turn: KeyNode | null): void {
    if (turn !== null) turn.path = path
    this.#recent[depth & RECENT_DEPTHS - 1] = path
  }

  /** Tells whether a sequence of keys is met again; another one may have been met in its place. */
  meets(sequence: number): boolean {
    const place = Math.imul(sequence ^ sequence >>> 15, 0x9e37_79b1) >>> 20
    if (this.#seen[place] === sequence) return true
    this.#seen[place] = sequence
    return false
  }

  /** The node of a list of distinct keys, with its shape; null when it has none, and can get none. */
  nodeOf(keys: readonly string[]): KeyNode | null {
    if (keys.length > MAX_SHAPE_KEYS) return null
    let node: KeyNode = this.root
    for (const key of keys) {
      const next = this.#step(node, key)
      if (next === null) return null
      node = next
    }
    if (node.shapeHi !== 0 || node === this.root) return node
    node.path ??= KeyPath.to(node)
    for (const before of node.path.nodes) before.path ??= node.path
    this.#learn()
    return node.shapeHi !== 0 || this.#makeShape(node) ? node : null
  }

  /** Takes in what other members have made meanwhile. */
  #learn(): void {
    this.#list?.look((keys, lo, hi) => {
      let node: KeyNode | null = this.root
      for (const key of keys) node = node === null ? null : this.#step(node, key)
      if (node === null || node === this.root || node.shapeHi !== 0) return
      node.shapeLo = lo
      node.shapeHi = hi
      this.#shapes++
    })
  }

  #step(node: KeyNode, key: string): KeyNode | null {
    const child = node.child(key)
    if (child !== null) return child
    const needle = needleOf(key)
    const words = node.words + 1 + wordsOfKey(needle)
    if (words > MAX_SHAPE_WORDS || this.isFull || node.children.has(needle.hash)) return null
    const made = new KeyNode(node, needle, asPropertyKey(key), node.depth + 1, nextSequence(node.sequence, needle.hash), words)
    node.children.set(needle.hash, made)
    node.byKey.set(made.key, made)
    node.next = made
    this.#nodes++
    return made
  }

  /** False when the heap is full: then documents do without. */
  #makeShape(node: KeyNode): boolean {
    if (this.#shapes >= MAX_SHAPES_MADE) return false
    let start: number
    try {
      const take = (): number => this.allocator.allocate(node.words * 4)
      start = heapDebug === null ? take() : heapDebug.keeping('a shape of json', take)
    } catch (error) {
      if (RpcError.is(error)) return false
      throw error
    }
    const { region } = this.allocator
    const a = region.i32
    a[start] = SHAPE_MAGIC
    a[start + 1] = node.depth
    a[start + 2] = node.words
    a[start + SHAPE_BEFORE] = 0
    let end = start + node.words
    for (let key: KeyNode = node; key.parent !== null; key = key.parent) {
      end -= 1 + wordsOfKey(key.needle)
      writeKey(a, end, key.needle)
    }
    node.shapeLo = region.lowOf(start)
    node.shapeHi = region.high
    this.#list?.add(region, start)
    this.#shapes++
    return true
  }
}

/** The same string, as the engine holds it for property keys: comparing it with those of other objects is comparing pointers. */
function asPropertyKey(key: string): string {
  return Object.keys({ [key]: 0 })[0] ?? key
}

function wordsOfKey({ inline, words, head }: Needle): number {
  return inline ? (head + 3) >>> 2 : words.length
}

function writeKey(a: Int32Array, at: number, { inline, head, words, lo, hi }: Needle): void {
  a[at] = head
  if (inline) {
    if (head > 0) a[at + 1] = lo
    if (head > 4) a[at + 2] = hi & 0xff
    return
  }
  for (let i = 0; i < words.length; i++) a[at + 1 + i] = words[i]!
}

const interns = new WeakMap<Allocator, Intern>()

/** The shapes of an allocator; none for memory that goes soon: documents there bring their keys along. */
export function internOf(allocator: Allocator): Intern | null {
  if (allocator.transient === true) return null
  let intern = interns.get(allocator)
  if (intern === undefined) {
    intern = new Intern(allocator)
    interns.set(allocator, intern)
  }
  return intern
}
