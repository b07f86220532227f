import { Rpc, u32 } from 'rpcool'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { releaseNow, sealNow, warmPages, type SealAuthority } from '../../src/safety/seals/authority.js'
import { formatStrength } from '../../src/safety/seals/strength.js'
import { interleave, loopContender, summaryOf, type BatchPlan, type BatchSummary, type Contender } from '../support/batches.js'
import { startChild } from '../support/child.js'
import { nowNs } from '../support/clock.js'
import type { CpuPair } from '../support/cpus.js'
import { runLimit } from '../support/limits.js'
import { program } from '../support/program.js'
import { tailsOf, type Tails } from '../support/statistics.js'
import type { Plan } from '../trials/plans.js'
import { BenchPages, DOUBLES, type HeapName } from './sealed-heap.js'

const CHANNEL = 'bench/sealed'
const READ_PAGE = 1
/** Descriptor and page in one argument. */
const PAGE_BITS = 16
/** Calls whose pages are sealed together. */
const GROUP = 512
/** Groups in turn: one is written, one is called, one is released. */
const GROUPS = 4

/** Verifies the seal, reads all of the page, checks that the seal held, completes. Answers what it read first. */
export const sealReceiver = program<HeapName>(import.meta.url, 'sealReceiver', async (name, control) => {
  using pages = BenchPages.join(name)
  const receiving = await pages.receive()
  const { verifier } = receiving
  const rpc = new Rpc().open(CHANNEL).add(READ_PAGE, u32, u32, (_connection, packed) => {
    const index = packed >>> PAGE_BITS
    const page = packed & ((1 << PAGE_BITS) - 1)
    if (!verifier.verify(index, page, 1)) throw new Error(`page ${String(page)} is not sealed`)
    const first = pages.doubles[page * DOUBLES]!
    let same = 0
    for (let i = page * DOUBLES, end = i + DOUBLES; i < end; i++) same += pages.doubles[i] === first ? 1 : 0
    const held = verifier.held(index)
    verifier.complete(index)
    if (!held || same !== DOUBLES) throw new Error(`the seal of page ${String(page)} did not hold`)
    return first
  })
  await rpc.listening()
  control.ready()
  await control.finish
  await rpc.close()
  receiving.close()
})

export interface SealedCallFigures {
  readonly limit: BatchSummary
  readonly call: BatchSummary
  readonly pipelined: BatchSummary
  readonly pipelinedTails: Tails
  readonly window: number
  readonly strength: string
}

interface Argument {
  readonly cpus: CpuPair
  readonly plan: Plan
}

type RawConnection = Awaited<ReturnType<Rpc['connect']>>

/** Runs on the sender's CPU, as the sealer comes to do by itself; the receiver has the other one. */
export const measureSealedCalls = program<Argument, void, SealedCallFigures>(import.meta.url, 'measureSealedCalls', async ({ cpus, plan }) => {
  using pages = BenchPages.create(GROUP * GROUPS)
  await using receiver = startChild(sealReceiver, pages.name, { label: 'the receiver of sealed calls', cpu: cpus.answerer })
  const [authority] = await Promise.all([pages.send(GROUP * GROUPS), receiver.ready()])
  await using raw = await new Rpc().open(CHANNEL).connect({ slots: 2 * GROUP })
  const pipeline = new SealedPipeline(pages, authority, raw)
  const summaries = await interleave([
    limitContender(cpus, plan),
    loopContender('call', plan.batches, (count) => {
      for (let i = 0; i < count; i++) sealedCall(pages, authority, raw, i & 63)
    }),
    pipeline.contender('pipelined', plan.batches),
  ], plan.batches)
  const latencies = new Float64Array(plan.tails.samples)
  pipeline.run(latencies.length, latencies)
  const strength = formatStrength(authority.strength)
  authority.close()
  await receiver.finish()
  return {
    limit: summaryOf(summaries, LIMIT), call: summaryOf(summaries, 'call'), pipelined: summaryOf(summaries, 'pipelined'),
    pipelinedTails: tailsOf(latencies), window: GROUP * GROUPS, strength,
  }
})

const LIMIT = 'c_sealed_limit'

function limitContender(cpus: CpuPair, plan: Plan): Contender {
  const calls = Math.round((plan.batches.batchMs * 1e6) / 15_000)
  return {
    name: LIMIT,
    async batch() {
      const { meansNs: [mean] } = await runLimit('sealed_call', [cpus.caller, cpus.answerer, 1, calls, 1])
      if (mean === undefined) throw new Error('sealed_call printed no batch')
      return mean
    },
  }
}

/** One page: rewritten, sealed, read by the other side, released. */
function sealedCall(pages: BenchPages, authority: SealAuthority, raw: RawConnection, page: number): void {
  pages.rewrite(page, page + 1)
  const indexes = sealNow(authority, [{ address: pages.base + page * PAGE_BYTES, byteLength: PAGE_BYTES }])
  const answer = raw.call(READ_PAGE, u32, u32, (indexes[0]! << PAGE_BITS) | page)
  if (answer !== page + 1) throw new Error(`the answer ${String(answer)} where ${String(page + 1)} was right`)
  releaseNow(authority, indexes)
}

/**
 * Many sealed calls in flight. Pages are used in groups, in turn: a group is rewritten, its seals go out together, its calls follow when they
 * are in force, and its releases go out together when all are answered.
 */
class SealedPipeline {
  readonly #calls
  readonly #indexes = new Uint32Array(GROUP * GROUPS)
  readonly #started = new Float64Array(GROUP * GROUPS)

  constructor(readonly pages: BenchPages, readonly authority: SealAuthority, raw: RawConnection) {
    this.#calls = raw.pipeline(READ_PAGE, u32, u32)
  }

  /** Batches of whole groups, as many as fill about `batchMs`. */
  contender(name: string, { batchMs }: BatchPlan): Contender {
    const calls = Math.max(4, Math.round((batchMs * 1e6) / 2000 / GROUP)) * GROUP; // some 2 µs each
    return {
      name,
      batch: () => {
        this.run(calls / 4)
        const start = nowNs()
        this.run(calls)
        return Promise.resolve((nowNs() - start) / calls)
      },
    }
  }

  /**
   * At least `count` calls, whole groups. `latencies` takes the time of each, from its rewriting to its answer, in nanoseconds.
   * While the receiver works on one group the next is written; releases go out with the seals that follow.
   */
  run(count: number, latencies?: Float64Array): void {
    const { authority } = this
    const groups = Math.ceil(count / GROUP)
    this.#answers = 0
    this.#latencies = latencies
    let released = 0
    for (let group = 0; group < groups; group++) {
      this.#await((group - GROUPS + 2) * GROUP)
      while (released < Math.floor(this.#answers / GROUP)) this.#release(released++ % GROUPS)
      this.#seal(group % GROUPS)
      authority.wait(authority.flush())
      this.#call(group % GROUPS)
    }
    this.#await(groups * GROUP)
    while (released < groups) this.#release(released++ % GROUPS)
    authority.wait(authority.flush())
  }

  #await(answers: number): void {
    while (this.#answers < answers) {
      this.#calls.wait()
      this.#take()
    }
  }

  #take(): void {
    this.#calls.poll((answer) => this.#check(answer))
  }

  #call(group: number): void {
    for (let at = group * GROUP, end = at + GROUP; at < end;) {
      if (this.#calls.submit((this.#indexes[at]! << PAGE_BITS) | at)) at++
      else this.#take()
    }
    this.#take()
  }

  #answers = 0
  #latencies: Float64Array | undefined

  #check(answer: number): void {
    const at = this.#answers % (GROUP * GROUPS)
    if (answer !== at + 1) throw new Error(`the answer ${String(answer)} where ${String(at + 1)} was right`)
    if (this.#latencies !== undefined && this.#answers < this.#latencies.length) this.#latencies[this.#answers] = nowNs() - this.#started[at]!
    this.#answers++
  }

  #seal(group: number): void {
    const { pages, authority } = this
    warmPages(pages.base + group * GROUP * PAGE_BYTES, GROUP * PAGE_BYTES)
    for (let at = group * GROUP, end = at + GROUP; at < end; at++) {
      if (this.#latencies !== undefined) this.#started[at] = nowNs()
      pages.rewrite(at, at + 1)
      this.#indexes[at] = authority.queueSeal(pages.base + at * PAGE_BYTES, PAGE_BYTES)
    }
  }

  #release(group: number): void {
    for (let at = group * GROUP, end = at + GROUP; at < end; at++) this.authority.queueRelease(this.#indexes[at]!)
  }
}
