// Sends messages to a process that sleeps after each: whoever breaks the protocol of waking loses one sooner or later.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { acceptUnix, addon, createMemoryFile, HEAPS_BASE, listenUnix, Mapping } from '../../src/sys/index.js'
import { type Mutilation, WakeEnd } from './wake-end.js'

export type { Mutilation } from './wake-end.js'

const consumer = fileURLToPath(new URL('./wake-consumer.js', import.meta.url))
/**
 * A message that is not taken for so long was slept over. A wake-up takes a thousandth of it, but on a busy machine the
 * consumer may not run for a tenth of a second: the whole protocol is not accused of that.
 */
const LOST_MS = 1000
const LOST_WHOLE_MS = 20_000

export interface Outcome {
  readonly messages: number
  readonly lost: number
}

/** Sends messages to a consumer that sleeps after each, each a random moment after the last was taken. */
export async function stressWaking(mutilation: Mutilation, messages: number, lostMax: number, delayRounds: number): Promise<Outcome> {
  const memory = createMemoryFile('wake', 4096)
  const mapping = Mapping.map(memory, HEAPS_BASE, 4096)
  const path = `@rpcool-wake-${randomBytes(8).toString('hex')}`
  const listening = listenUnix(path, 'stream', 1)
  const child = spawn(process.execPath, [consumer, path, String(HEAPS_BASE), mutilation], { stdio: ['ignore', 'inherit', 'inherit', memory] })
  const exited = once(child, 'exit')
  try {
    assert.ok(addon.pollReadable(listening, 30_000), 'the consumer did not come')
    const end = new WakeEnd(new Int32Array(mapping.buffer), 'producer', acceptUnix(listening)!, mutilation, () => undefined)
    const lostMs = mutilation === 'none' ? LOST_WHOLE_MS : LOST_MS
    let lost = 0
    let seed = 12345
    let sent = 0
    while (sent < messages && lost < lostMax) {
      end.publish(++sent)
      const start = performance.now()
      while (end.acknowledged() !== sent) {
        if (performance.now() - start < lostMs) continue
        lost++
        end.ringAnyway()
        while (end.acknowledged() !== sent) if (performance.now() - start > 60_000) throw new Error('the consumer is gone')
      }
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      for (let rounds = seed % delayRounds; rounds > 0; rounds--) end.acknowledged()
    }
    end.end()
    return { messages: sent, lost }
  } finally {
    addon.closeFd(listening)
    addon.closeFd(memory)
    mapping.unmap()
    child.kill('SIGKILL')
    await exited
  }
}
