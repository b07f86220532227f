/** Random numbers that a seed repeats (mulberry32). */
export class Random {
  #state: number

  constructor(readonly seed: number) {
    this.#state = seed >>> 0
  }

  /** Any 32 bits, as a signed number. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return mixed ^ (mixed >>> 14)
  }

  below(limit: number): number {
    return (this.word() >>> 0) % limit
  }

  one<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0
  }

  /** A number as hostile code likes them: small, at an edge, or anything. */
  nasty(): number {
    return this.chance(3) ? this.word() : this.one([0, 1, -1, 2, 7, 0x7fff_ffff, -0x8000_0000, 0xffff, 0x10000, 64, 63, 4096, this.below(100)])
  }
}

export function newSeed(): number {
  const given = process.env['RPCOOL_SEED']
  return given === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : Number(given) >>> 0
}
