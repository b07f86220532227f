import { randomBytes } from 'node:crypto'
import { PAGE_BYTES, type Address } from '../../../base/numbers.js'
import { addon, createMemoryFile, errnoCode, HEAPS_BASE, isLaunched, Mapping } from '../../../sys/index.js'
import { RpcError } from '../../../base/errors.js'
import { sealNow, type SealAuthority } from '../authority.js'
import { KEPT_BYTES } from '../../snapshot.js'
import type { SealClient } from '../seal-client.js'
import type { SealVerifier } from '../descriptors.js'

/** Up to here copies are made into memory that is kept, in pages; longer ones into fresh memory, which costs several times as much. */
const KEPT_PAGES = KEPT_BYTES / PAGE_BYTES
/** Lengths at which both are tried, in pages. */
const SMALL = 1
const MIDDLE = 256
const LARGE = 2 * KEPT_PAGES
const ROUNDS = 5
const LARGE_ROUNDS = 2
/** An argument longer than this is no argument: seals never pay then. */
const PAGES_MAX = 1 << 18

let known: Promise<number> | undefined

/**
 * From how many pages on sealing an argument costs less than copying it, on this machine; Infinity when it never does. Counted is all
 * that the two cost a call whose argument is rewritten each time: seal, release and the writer's fault in each page, against the copy. Measured
 * once for the process, in some hundredth to tenth of a second.
 * @param client of seals by a sealer; undefined for cooperative ones, which are sealed in this process at the cost of a system call: those
 *   are for finding mistakes, and seal always.
 */
export function crossoverPages(client: SealClient | undefined): Promise<number> {
  if (client === undefined) return Promise.resolve(0)
  // A confined program has no other memory that could be sealed, and on a connection's own there is nobody to complete the trial's calls.
  if (isLaunched()) return Promise.resolve(Infinity)
  known ??= measure(client).catch((error: unknown) => {
    known = undefined
    if (!RpcError.is(error) && errnoCode(error) === undefined) throw error
    // Where it cannot be measured the copy is what always works.
    return Infinity
  })
  return known
}

async function measure(client: SealClient): Promise<number> {
  const byteLength = LARGE * PAGE_BYTES
  const file = createMemoryFile('seal-trial', byteLength, true)
  const mapping = mapSomewhere(file, byteLength)
  const token = randomBytes(16).toString('hex')
  const named = { token, address: mapping.address, byteLength }
  try {
    const [authority, receiving] = await Promise.all([client.attachSender(named), client.attachReceiver({ ...named, file })])
    try {
      const words = new Float64Array(mapping.buffer)
      const kept = new Float64Array(MIDDLE * (PAGE_BYTES / 8))
      const seal = (pages: number): number => best(pages, () => trySeal(authority, receiving.verifier, mapping.address, words, pages))
      const copy = (pages: number): number => best(pages, () => tryCopy(words, pages, kept))
      return changeover(seal, copy)
    } finally {
      authority.close()
      receiving.close()
    }
  } finally {
    mapping.unmap()
    addon.closeFd(file)
  }
}

/** From how many pages on sealing costs less, by what either costs at some lengths, in pages. Exported for its test. */
export function changeover(seal: (pages: number) => number, copy: (pages: number) => number): number {
  const [oneSealed, oneCopied] = [seal(SMALL), copy(SMALL)]
  const short = crossing({ small: oneSealed, large: seal(MIDDLE) }, { small: oneCopied, large: copy(MIDDLE) }, MIDDLE)
  if (short <= KEPT_PAGES) return short
  return Math.max(KEPT_PAGES + 1, crossing({ small: oneSealed, large: seal(LARGE) }, { small: oneCopied, large: copy(LARGE) }, LARGE))
}

interface Costs {
  readonly small: number
  readonly large: number
}

/** Where two straight lines through the costs of 1 and of `length` pages meet, in pages. Exported for its test. */
export function crossing(seal: Costs, copy: Costs, length: number): number {
  const slope = ({ small, large }: Costs): number => (large - small) / (length - SMALL)
  const gain = slope(copy) - slope(seal)
  const ahead = seal.small - copy.small
  if (ahead <= 0) return gain >= 0 ? 0 : Infinity
  if (gain <= 0) return Infinity
  const pages = Math.ceil(SMALL + ahead / gain)
  return pages <= PAGES_MAX ? pages : Infinity
}

function best(pages: number, trial: () => number): number {
  let least = Infinity
  for (let round = 0; round < (pages === LARGE ? LARGE_ROUNDS : ROUNDS); round++) least = Math.min(least, trial())
  return least
}

/** One page after the other is written for the first time since the release, sealed together, and released. */
function trySeal(authority: SealAuthority, verifier: SealVerifier, address: Address, words: Float64Array, pages: number): number {
  const start = performance.now()
  for (let page = 0; page < pages; page++) words[page * (PAGE_BYTES / 8)] = start
  const [index] = sealNow(authority, [{ address, byteLength: pages * PAGE_BYTES }]) as [number]
  if (verifier.verify(index, 0, pages)) verifier.complete(index)
  authority.queueRelease(index)
  authority.wait(authority.flush())
  return performance.now() - start
}

function tryCopy(words: Float64Array, pages: number, kept: Float64Array): number {
  const start = performance.now()
  for (let page = 0; page < pages; page++) words[page * (PAGE_BYTES / 8)] = start
  const copy = pages > KEPT_PAGES ? new Float64Array(pages * (PAGE_BYTES / 8)) : kept
  copy.set(words.subarray(0, pages * (PAGE_BYTES / 8)))
  return performance.now() - start
}

/** At any address of the window that is free in this process. */
function mapSomewhere(file: number, byteLength: number): Mapping {
  for (let attempt = 1; ; attempt++) {
    const address = (HEAPS_BASE + Math.floor(Math.random() * 1000) * 0x1_0000_0000) as Address
    try {
      return Mapping.map(file, address, byteLength)
    } catch (error) {
      if (errnoCode(error) !== 'EEXIST' || attempt >= 100) throw error
    }
  }
}
