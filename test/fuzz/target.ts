// Fuzzing: a target makes one case of a seed and judges it. Cases are tried in a process of their own (campaign.ts), so that one that ends
// or hangs its process is kept like one that throws.
import { inspect } from 'node:util'
import { RpcError } from '../../src/base/errors.js'
import type { Random } from '../support/random.js'

/** Something that takes hostile input. */
export interface FuzzTarget {
  readonly name: string
  /**
   * Makes one case out of the random numbers and tries it: a few mutated inputs, and returns how many. Throws, or rejects, when anything but
   * a value or an RpcError comes of one.
   */
  tryCase(random: Random): number | Promise<number>
  /** Ends what outlives its cases. */
  close?(): Promise<void>
}

/** Runs work that may end in an RpcError, and in no other error. */
export function onlyRpcErrors(what: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!RpcError.is(error)) throw new Error(`${what}: ${inspect(error)}`, { cause: error })
  }
}
