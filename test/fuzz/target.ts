// Fuzzing: a target makes one case of a seed and judges it. A case that fails is kept in test/fuzz/regressions/ and tried by every
// later test run.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { RpcError } from '../../src/base/errors.js'
import { root } from '../tree/sources.js'
import { newSeed, Random } from '../support/random.js'

const REGRESSIONS = `${root}test/fuzz/regressions/`

/** Something that takes hostile input. */
export interface FuzzTarget {
  readonly name: string
  /** Makes one case out of the random numbers and tries it; throws when anything but a value or an RpcError comes of it. */
  tryCase(random: Random): void
}

/** A case that failed. */
export class FuzzFailure extends Error {
  constructor(readonly target: string, readonly seed: number, cause: unknown) {
    super(`${target}, seed ${seed}: ${inspect(cause)}`, { cause })
  }
}

/** Runs work that may end in an RpcError, and in no other error. */
export function onlyRpcErrors(what: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!RpcError.is(error)) throw new Error(`${what}: ${inspect(error)}`, { cause: error })
  }
}

/** What a run came to. */
export interface Fuzzed {
  readonly cases: number
  /** Of the first case; the others count on from it. */
  readonly seed: number
}

/** Tries cases until the time is over; answers how many. The first failing one is kept as a file, and thrown. */
export function fuzzFor(target: FuzzTarget, ms: number, options: { readonly first?: number, readonly keep?: boolean } = {}): Fuzzed {
  const { first = newSeed(), keep = true } = options
  const end = performance.now() + ms
  let cases = 0
  do {
    for (let i = 0; i < 16; i++, cases++) {
      const seed = (first + cases) >>> 0
      try {
        target.tryCase(new Random(seed))
      } catch (error) {
        if (keep) writeFileSync(`${REGRESSIONS}${target.name}-${seed}.json`, `${JSON.stringify({ target: target.name, seed })}\n`)
        throw new FuzzFailure(target.name, seed, error)
      }
    }
  } while (performance.now() < end)
  return { cases, seed: first }
}

/** The cases that failed once. */
export function regressions(): { readonly target: string, readonly seed: number }[] {
  return readdirSync(REGRESSIONS).filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(`${REGRESSIONS}${name}`, 'utf8')) as { target: string, seed: number })
}

