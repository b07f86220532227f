import type { Contender } from './batches.js'
import { runLimit } from './limits.js'
import { ReplacementSequence, LIVE_BLOCKS } from './replacement-sequence.js'

/** One run of bench/limits/malloc.c and of anything compared with it. */
export interface ReplacementPlan {
  readonly seed: number
  /** Replacements (one free and one malloc each) per batch. */
  readonly operations: number
  /** Batches that count; the one before them warms up. */
  readonly batches: number
}

/** Whether each new block gets one 4-byte store. */
export type Touch = 'plain' | 'write'

export interface GlibcFigures {
  readonly meansNs: readonly number[]
  /** Equals {@link expectedChecksum}: the C program drew the numbers that the TypeScript port draws. */
  readonly checksum: number
}

/** glibc malloc/free under random replacement, on `cpu`. */
export async function runGlibc(cpu: number, { seed, operations, batches }: ReplacementPlan, touch: Touch): Promise<GlibcFigures> {
  const { meansNs, checksum } = await runLimit('malloc', [cpu, seed, operations, batches, touch])
  if (checksum === undefined) throw new Error('malloc printed no checksum')
  return { meansNs, checksum }
}

/** The same as a contender, a fresh process per batch: its heap is filled anew and its first batch warms up. */
export function glibcContender(name: string, cpu: number, plan: ReplacementPlan, touch: Touch): Contender {
  return {
    name,
    async batch() {
      const { meansNs: [mean] } = await runGlibc(cpu, { ...plan, batches: 1 }, touch)
      if (mean === undefined) throw new Error('malloc printed no batch')
      return mean
    },
  }
}

/** The checksum of a whole run of `plan`, warm-up included, by the TypeScript port of the sequence. */
export function expectedChecksum({ seed, operations, batches }: ReplacementPlan): number {
  const sequence = new ReplacementSequence(seed)
  sequence.drawFirst(new Uint16Array(LIVE_BLOCKS))
  const slots = new Uint32Array(operations)
  const sizes = new Uint16Array(operations)
  for (let batch = 0; batch <= batches; batch++) sequence.draw(slots, sizes)
  return sequence.checksum
}
