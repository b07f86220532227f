// A graph of every kind of object whose bytes a peer has spoiled, read in each of the ways that a server has.
import { inspect } from 'node:util'
import { Heap, HeapScopes, HeapSet, type Scope } from '../../../src/memory/index.js'
import {
  array, bool, bytes, cellOf, f64, i64, list, map, optional, plain, ref, safeU64, struct, text, u32, u8, union, type Plain, type View,
} from '../../../src/objects/index.js'
import { IsolatedArguments, Sandbox } from '../../../src/safety/index.js'
import { HEAPS_BASE } from '../../../src/sys/index.js'
import type { Random } from '../../support/random.js'
import { onlyRpcErrors, type FuzzTarget } from '../target.js'

const Part = struct('FuzzPart', { id: u8, size: safeU64, name: text, wide: i64 })
const Thing = struct('FuzzThing', {
  name: text, flag: bool, number: f64, parts: list(Part), raw: bytes, byName: map(text, Part), byId: map(u32, text), note: optional(text),
  any: union({ part: Part, text, list: list(text), n: f64 }), grid: array(text, 2), small: list(u8), get children() { return list(Thing) },
  get next() { return ref(Thing) }, get others() { return list(ref(Thing)) },
})
type Thing = View<typeof Thing>

export const HEAP_BYTES = 256 * 1024
const SCOPE_BYTES = 16 * 1024
/** How deep the graphs are. Most cases have the small one: it is read in a fifth of the time, and holds each kind of object, too. */
const DEPTHS = [0, 0, 0, 3] as const
const MAX_NODES = 500
const MAX_POINTERS = 1000

function thing(depth: number): Plain<typeof Thing> {
  const part = (id: number): Plain<typeof Part> => ({ id, size: id * 1000, name: `the name of part ${id}`, wide: -5n })
  return {
    name: `thing number ${depth}`, flag: true, number: depth / 2, parts: [part(1), part(2)], raw: new Uint8Array(20).fill(depth),
    byName: new Map([['first', part(3)], ['a key with memory', part(4)]]), byId: new Map([[1, 'one'], [2, 'the second value']]), note: 'a note with memory',
    any: depth % 2 === 0 ? { kind: 'part', value: part(5) } : { kind: 'list', value: ['x', 'another text'] },
    grid: ['a', 'a second text'], small: [1, 2, 3, 4, 5], children: depth > 2 ? [thing(0)] : [], next: depth === 0 ? null : thing(depth - 1), others: [null],
  }
}

/** Changes some words as an attacker would: to noise, edges, others' words, and pointers to anywhere. */
export function spoil(words: Int32Array, from: number, count: number, random: Random): void {
  for (let i = 1 + random.below(12); i > 0; i--) {
    const at = from + random.below(count)
    switch (random.below(5)) {
      case 0: words[at] = random.nasty(); break
      case 1: words[at] = words[from + random.below(count)]!; break
      case 2: words[at]! ^= 1 << random.below(32); break
      case 3: words[at]! += random.one([4, 8, -8, 16, 4096]); break
      default:
        // A pointer into the heap, to any place in it.
        words[at & ~1] = random.below(HEAP_BYTES) & ~3
        words[at | 1] = Math.floor(HEAPS_BASE / 2 ** 32)
    }
  }
}

function walk(root: Thing): void {
  let left = MAX_NODES
  for (let at: Thing | null = root; at !== null && left-- > 0; at = at.next) {
    void (at.name.length + at.raw.length + at.grid.at(1)!.length + at.any.kind.length)
    for (const [, part] of at.byName) if (left-- < 0 || part.name.length < 0) return
    for (const part of at.parts) if (left-- < 0 || part.wide === 1n) return
    void at.byId.get(2)
    void at.byName.get('a key with memory')?.size
  }
}

interface Graph {
  readonly scope: Scope
  readonly root: Int32Array
  /** The words of the scope, as they were built. */
  readonly original: Int32Array
}

/** Says whether two readings are the same ones: a number of all that a plain value holds. */
function digest(value: unknown, before = 0): number {
  let sum = Math.imul(before ^ 0x2c1b3c6d, 0x297a2d39)
  const add = (word: number): void => void (sum = Math.imul(sum ^ word, 0x01000193))
  if (typeof value === 'string') {
    for (let i = 0; i < value.length; i++) add(value.charCodeAt(i))
  } else if (typeof value === 'number') {
    add(value)
    add(value / 2 ** 32)
  } else if (value instanceof Uint8Array) {
    for (const byte of value) add(byte)
  } else if (Array.isArray(value)) {
    for (const one of value) sum = digest(one, sum)
  } else if (value instanceof Map) {
    for (const [key, one] of value) sum = digest(one, digest(key, sum))
  } else if (typeof value === 'object' && value !== null) {
    for (const key in value) sum = digest((value as Record<string, unknown>)[key], digest(key, sum))
  } else {
    return digest(String(value), sum)
  }
  return sum
}

class Objects implements FuzzTarget {
  readonly name = 'objects'
  readonly #heaps = new HeapSet((space) => new Heap(new ArrayBuffer(HEAP_BYTES), HEAPS_BASE, 1, space))
  readonly #cell = cellOf(Thing)
  readonly #graphs = DEPTHS.map((depth) => this.#build(depth))
  readonly #isolated = new IsolatedArguments(this.#heaps, 1 << 20)
  readonly #sandbox = new Sandbox({ reply: { new: () => { throw new Error('nothing is made') } }, memory: this.#heaps })

  constructor() {
    for (const { region: heap } of this.#heaps.heaps) heap.endless = false
  }

  #build(depth: number): Graph {
    const scope = new HeapScopes(this.#heaps).create(SCOPE_BYTES)
    const root = new Int32Array(2)
    this.#cell.write(scope, thing(depth), root, 0)
    const { region, usedBytes } = scope
    return { scope, root, original: region.i32.slice(region.shift, region.shift + usedBytes / 4) }
  }

  tryCase(random: Random): number {
    const graph = random.one(this.#graphs)
    const { region, usedBytes } = graph.scope
    region.i32.set(graph.original, region.shift)
    spoil(region.i32, region.shift, usedBytes >>> 2, random)
    const [lo = 0, hi = 0] = random.chance(20) ? [random.nasty(), random.nasty()] : graph.root
    const heap = this.#heaps.heaps[0]!.region
    heap.allowance = MAX_POINTERS
    heap.refill()
    const ways: readonly (readonly [string, () => void])[] = [
      ['walk', (): void => walk(this.#cell.read(heap, lo, hi) as Thing)],
      ['plain', (): void => void plain(this.#cell.read(heap, lo, hi), { maxNodes: MAX_NODES })],
      ['snapshot', (): void => {
        const used = random.chance(4) ? random.nasty() : usedBytes
        const scopeLow = random.chance(8) ? random.nasty() : region.low
        this.#readIsolated(graph, () => this.#isolated.fromScope(this.#cell, lo, hi, scopeLow, region.high, used >>> 0))
      }],
      ['deep copy', (): void => this.#readIsolated(graph, () => this.#isolated.fromHeap(this.#cell, heap, lo, hi))],
      ['sandbox', (): void => {
        this.#sandbox.run(graph.scope, undefined, (inside) => walk(inside.at(Thing, (hi >>> 0) * 2 ** 32 + (lo >>> 0))), { maxPointers: MAX_POINTERS })
      }],
    ]
    const [what, read] = random.one(ways)
    onlyRpcErrors(what, read)
    return 1
  }

  /** A copy reads the same twice, whatever happens to the original meanwhile. */
  #readIsolated({ scope: { region, usedBytes } }: Graph, read: () => unknown): void {
    const copy = read() as Thing
    try {
      const look = (): unknown => {
        try {
          return plain(copy, { maxNodes: MAX_NODES })
        } catch (error) {
          return String(error)
        }
      }
      const before = look()
      region.i32.fill(-1, region.shift, region.shift + usedBytes / 4)
      const after = look()
      if (digest(after) !== digest(before)) throw new Error(`an isolated argument changed: ${inspect(before, { depth: 9 })} became ${inspect(after, { depth: 9 })}`)
      onlyRpcErrors('walk over a copy', () => walk(copy))
    } finally {
      this.#isolated.holding!.release()
    }
  }
}

export const objects = (): FuzzTarget => new Objects()
