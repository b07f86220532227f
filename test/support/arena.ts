// A simple allocator over private memory, with Allocator's interface: exact free lists, every mistake detected.
import assert from 'node:assert/strict'
import { RpcError } from '../../src/base/errors.js'
import { FOUR_GIB, type Address } from '../../src/base/numbers.js'
import { Region, type Allocator, type RegionSpace } from '../../src/memory/region.js'

/** Memory holds whatever it held before: here something that no zero is mistaken for. */
export const FRESH_WORD = -0x5a5a5a5b

const FIRST_ADDRESS = 0x4000 * FOUR_GIB + 0x1000_0000

/** The regions of one imaginary connection, so that pointers between arenas resolve. */
export class Space implements RegionSpace {
  readonly regions: Region[] = []

  get byteLength(): number {
    return this.regions.reduce((sum, { words }) => sum + words * 4, 0)
  }

  locate(high: number, low: number, byteLength: number): Region | undefined {
    return this.regions.find((region) => region.resolve(high, low, Math.ceil(byteLength / 4)) >= 0)
  }
}

export class Arena implements Allocator {
  region: Region
  readonly space: Space
  readonly #blocks = new Map<string, number>()
  readonly #free = new Map<number, Array<{ readonly region: Region, readonly word: number }>>()
  #next = 2
  #failAfter = Infinity
  allocated = 0

  constructor(byteLength = 1 << 20, space = new Space()) {
    this.space = space
    this.region = this.#grow(byteLength)
  }

  #grow(byteLength: number): Region {
    const address = FIRST_ADDRESS + this.space.regions.length * FOUR_GIB as Address
    const region = new Region(new ArrayBuffer(byteLength), address, this.space)
    region.allocator = this
    this.space.regions.push(region)
    return region
  }

  /** What follows is allocated in another region of the same space. */
  continueElsewhere(byteLength = 1 << 20): void {
    this.region = this.#grow(byteLength)
    this.#next = 2
  }

  /** The allocation after the next `count` fails. */
  failAfter(count: number): void {
    this.#failAfter = count
  }

  allocate(byteLength: number): number {
    if (this.#failAfter-- <= 0) throw new RpcError('RESOURCE_EXHAUSTED', 'the arena was told to fail')
    const words = Math.ceil(byteLength / 8) * 2
    const reused = this.#free.get(words)?.pop()
    if (reused !== undefined) {
      this.region = reused.region
      return this.#take(reused.word, words)
    }
    const word = this.#next
    if (word + words > this.region.words) throw new RpcError('RESOURCE_EXHAUSTED', 'the arena is full')
    this.#next += words
    return this.#take(word, words)
  }

  #take(word: number, words: number): number {
    this.region.i32.fill(FRESH_WORD, word, word + words)
    this.#blocks.set(this.#key(this.region, word), words)
    this.allocated++
    return word
  }

  free(region: Region, word: number): void {
    const key = this.#key(region, word)
    const words = this.#blocks.get(key)
    if (words === undefined) throw new RpcError('INVALID_ARGUMENT', `no live block starts at word ${word}`)
    this.#blocks.delete(key)
    region.i32.fill(-0x21524111, word, word + words)
    const free = this.#free.get(words) ?? []
    free.push({ region, word })
    this.#free.set(words, free)
  }

  owns(region: Region): boolean {
    return this.space.regions.includes(region)
  }

  /** Live blocks. */
  get live(): number {
    return this.#blocks.size
  }

  /** The words of each live block, as they are now, by where it starts. */
  contents(): Map<string, Int32Array> {
    return new Map(Array.from(this.#blocks, ([key, words]) => {
      const [high, word] = key.split(':').map(Number) as [number, number]
      return [key, this.space.regions.find((region) => region.high === high)!.i32.slice(word, word + words)]
    }))
  }

  assertEmpty(): void {
    assert.equal(this.live, 0, `${this.live} blocks were not freed`)
  }

  #key(region: Region, word: number): string {
    return `${region.high}:${word}`
  }
}

/** A bump allocator that frees nothing: for measurements. */
export class Bump implements Allocator {
  readonly region: Region
  #next = 2

  constructor(byteLength: number) {
    this.region = new Region(new ArrayBuffer(byteLength), FIRST_ADDRESS as Address)
    this.region.allocator = this
  }

  allocate(byteLength: number): number {
    const word = this.#next
    this.#next = word + ((byteLength + 7) >>> 3) * 2
    if (this.#next > this.region.words) throw new RpcError('RESOURCE_EXHAUSTED', 'the arena is full')
    return word
  }

  reset(): void {
    this.#next = 2
  }

  free(): void {}

  owns(region: Region): boolean {
    return region === this.region
  }
}
