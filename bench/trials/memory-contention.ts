import { closeSync, openSync } from 'node:fs'
import { makeAddress } from '../../src/base/numbers.js'
import { createMemoryFile, Mapping } from '../../src/sys/index.js'
import { interleave, summaryOf, type BatchPlan, type BatchSummary, type Contender } from '../support/batches.js'
import { startChild, type Child } from '../support/child.js'
import type { ReplacementPlan } from '../support/glibc.js'
import { program } from '../support/program.js'
import { BenchHeap, Replacement } from './memory-blocks.js'

const CONTROL_BYTES = 4096
const CONTROL_ADDRESS = makeAddress(0x4003, 0)

/** What the other process does, in word 0 of the control page; it counts its batches in word 16. */
const IDLE = 0
const ON_THE_SAME_HEAP = 1
const ON_ITS_OWN_HEAP = 2
const ENDED = 3
const BATCHES = 16

interface RivalArgument {
  readonly pid: number
  readonly heapFd: number
  readonly controlFd: number
  readonly replacement: ReplacementPlan
}

/** The other process: replaces blocks of its own, on the shared heap or on a private one, as long as it is told to. */
export const rival = program<RivalArgument>(
  import.meta.url,
  'rival',
  async ({ pid, heapFd, controlFd, replacement }, control) => {
    const page = Mapping.map(openSync(`/proc/${pid}/fd/${controlFd}`, 'r+'), CONTROL_ADDRESS, CONTROL_BYTES)
    const words = new Int32Array(page.buffer)
    // One address, two files: one after the other, never both.
    for (let mode = IDLE; mode !== ENDED; mode = Atomics.load(words, 0)) {
      if (mode === IDLE) {
        control.ready()
        await new Promise((resolve) => setTimeout(resolve, 1))
        continue
      }
      using heap = mode === ON_THE_SAME_HEAP ? BenchHeap.join(pid, heapFd, 2) : BenchHeap.create()
      const own = new Replacement(heap.set, { ...replacement, seed: replacement.seed + 1 })
      own.draw()
      while (Atomics.load(words, 0) === mode) {
        own.replace('plain')
        Atomics.add(words, BATCHES, 1)
      }
      own.freeAll()
    }
    page.unmap()
  },
)

export interface ContentionResult {
  /** CPU time per free and malloc of this process: the other one idle, on the same heap, and on a heap of its own. */
  readonly single: BatchSummary
  readonly contended: BatchSummary
  readonly apart: BatchSummary
}

/** CPU time of this process: nothing here waits, and a third program that takes a CPU from us is not our contention. */
function cpuNs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

/** Two processes, each on a CPU of its own, that replace blocks at the same time. */
export async function measureContention(
  rivalCpu: number, plan: BatchPlan, replacement: ReplacementPlan,
): Promise<ContentionResult> {
  const controlFd = createMemoryFile('bench-control', CONTROL_BYTES)
  const page = Mapping.map(controlFd, CONTROL_ADDRESS, CONTROL_BYTES)
  const words = new Int32Array(page.buffer)
  using heap = BenchHeap.create()
  const argument = { pid: process.pid, heapFd: heap.fd, controlFd, replacement: { ...replacement, operations: replacement.operations / 10 } }
  await using child = startChild(rival, argument, { label: 'the second process on the heap', cpu: rivalCpu })
  await child.ready()
  const own = new Replacement(heap.set, replacement)
  const beside = (name: string, mode: number): Contender => ({
    name,
    async batch() {
      own.draw()
      await told(words, mode, child)
      own.replace('plain')
      const start = cpuNs()
      own.replace('plain')
      const elapsed = cpuNs() - start
      await told(words, IDLE, child)
      return elapsed / replacement.operations
    },
  })
  const contenders = [beside('single', IDLE), beside('contended', ON_THE_SAME_HEAP), beside('apart', ON_ITS_OWN_HEAP)]
  const summaries = await interleave(contenders, plan)
  Atomics.store(words, 0, ENDED)
  await child.result()
  own.freeAll()
  page.unmap()
  closeSync(controlFd)
  return { single: summaryOf(summaries, 'single'), contended: summaryOf(summaries, 'contended'), apart: summaryOf(summaries, 'apart') }
}

/** Tells the other process what to do, and waits until it has done so for some batches, or has stopped. */
async function told(words: Int32Array, mode: number, child: Child<void, void>): Promise<void> {
  Atomics.store(words, 0, mode)
  const failed = child.result().then(() => true, () => true)
  for (let seen = Atomics.load(words, BATCHES), quiet = 0; mode === IDLE ? quiet < 20 : Atomics.load(words, BATCHES) < seen + 5;) {
    const before = Atomics.load(words, BATCHES)
    const ended = await Promise.race([failed, new Promise<false>((resolve) => setTimeout(resolve, 1, false))])
    if (ended) throw new Error(`${child.label} ended too early`)
    quiet = Atomics.load(words, BATCHES) === before ? quiet + 1 : 0
  }
}
