import { closeSync, openSync } from 'node:fs'
import { makeAddress, PAGE_BYTES } from '../../src/base/numbers.js'
import { Region, type RegionSpace } from '../../src/memory/index.js'
import { Snapshots } from '../../src/safety/snapshot.js'
import { createMemoryFile, Mapping } from '../../src/sys/index.js'
import { startChild } from '../support/child.js'
import { nowNs } from '../support/clock.js'
import type { CpuPair } from '../support/cpus.js'
import { program } from '../support/program.js'
import { median } from '../support/statistics.js'

const PAGES = 16_384
const WORDS = PAGE_BYTES / 4
/** Lengths of the curve, in pages: those of the curve of seals. */
export const CURVE: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, PAGES]

/** Long ones vary less, and take their time. */
export function roundsOf(rounds: number, pages: number): number {
  return Math.max(5, Math.ceil(rounds * Math.min(1, 128 / pages)))
}

const ADDRESS = makeAddress(0x4030, 0)

// The page behind those that are copied: what the copier asks for, and what the writer has done.
const ASKED = PAGES * WORDS
const DONE = ASKED + 16
const LENGTH = ASKED + 32

interface File {
  readonly pid: number
  readonly fd: number
}

function mapPages(fd: number): Mapping {
  return Mapping.map(fd, ADDRESS, (PAGES + 1) * PAGE_BYTES)
}

/** Rewrites so many pages each time it is asked, on a CPU of its own: the copier finds them dirty in the other's cache. */
export const pageWriter = program<File>(import.meta.url, 'pageWriter', async ({ pid, fd }, control) => {
  const file = openSync(`/proc/${pid}/fd/${fd}`, 'r+')
  const mapping = mapPages(file)
  const words = new Int32Array(mapping.buffer)
  control.ready()
  for (let asked = 1; ; asked++) {
    while (Atomics.load(words, ASKED) !== asked && Atomics.load(words, ASKED) !== -1);
    if (Atomics.load(words, ASKED) === -1) break
    words.fill(asked, 0, words[LENGTH]! * WORDS)
    Atomics.store(words, DONE, asked)
  }
  await control.finish
  mapping.unmap()
  closeSync(file)
})

export interface CopyPoint {
  readonly pages: number
  readonly copy_ns: number
}

/** Private copies of 1 to 16384 pages that another process has just rewritten, as the server of a call makes them. */
export const measureCopies = program<{ readonly cpus: CpuPair, readonly rounds: number }, void, readonly CopyPoint[]>(
  import.meta.url, 'measureCopies', async ({ cpus, rounds }) => {
    const fd = createMemoryFile('bench-copies', (PAGES + 1) * PAGE_BYTES)
    const mapping = mapPages(fd)
    const region = new Region(mapping.buffer, mapping.address)
    const space: RegionSpace = { locate: () => region }
    const snapshots = new Snapshots(space)
    await using writer = startChild(pageWriter, { pid: process.pid, fd }, { label: 'the writer of pages', cpu: cpus.answerer })
    await writer.ready()
    const words = region.i32
    let asked = 0
    const curve: CopyPoint[] = []
    for (const pages of CURVE) {
      const samples: number[] = []
      for (let round = -5; round < roundsOf(rounds, pages); round++) {
        words[LENGTH] = pages
        Atomics.store(words, ASKED, ++asked)
        while (Atomics.load(words, DONE) !== asked);
        const start = nowNs()
        const snapshot = snapshots.take(region.high, region.low, pages * PAGE_BYTES)
        const end = nowNs()
        if (snapshot.region.i32[0] !== asked || snapshot.region.i32[pages * WORDS - 1] !== asked) throw new Error('the copy is not what was written')
        snapshot.release()
        if (round >= 0) samples.push(end - start)
      }
      curve.push({ pages, copy_ns: median(samples) })
    }
    Atomics.store(words, ASKED, -1)
    await writer.finish()
    mapping.unmap()
    closeSync(fd)
    return curve
  },
)
