// A server all of whose shared memory is rewritten while it serves. Arguments: channel, what is rewritten, seed.
import { serve } from '../../../src/index.js'
import { Random } from '../../support/random.js'
import { reading } from '../isolated-service.js'
import { SealAttacked } from '../sealed-service.js'
import { mappingsOf, type Prey, Scribblers, type Writes } from './scribblers.js'

/** Connections come and go: what is rewritten is looked for anew so often. */
const TURN_MS = 150
const CONTROL_PAUSE_US = 300
/** A control region is smaller, a heap larger. */
const CONTROL_BYTES_MAX = 64 << 10

const [channel = '', target = '', seed = '1'] = process.argv.slice(2)
const random = new Random(Number(seed))
const writes: Writes = {}
let over = false

function prey(): Prey[] {
  const own = mappingsOf(channel)
  const all: Prey[] = [
    ...mappingsOf('seal-descriptors').map((range) => ({ name: 'seal descriptors', ...range, byteLength: 4096 })),
    ...own.filter(({ byteLength }) => byteLength <= CONTROL_BYTES_MAX).map((range) => ({ name: 'control region', ...range, pauseUs: CONTROL_PAUSE_US })),
    ...own.filter(({ byteLength }) => byteLength > CONTROL_BYTES_MAX).map((range) => ({ name: 'heap', ...range, byteLength: 64 << 10 })),
  ]
  return all.filter(({ name }) => target === 'everything' || name === target)
}

async function rewrite(): Promise<void> {
  while (!over) {
    const scribblers = await Scribblers.start(process.pid, prey(), TURN_MS, random.word() >>> 1)
    await new Promise((resolve) => setTimeout(resolve, TURN_MS))
    await scribblers.stop(writes)
  }
}

const look = (node: Parameters<typeof reading>[0]): number => reading(node).length
await serve(channel, SealAttacked, {
  atOnce: look, open: look, copied: look,
  later: async (node) => {
    await new Promise((resolve) => setImmediate(resolve))
    return look(node)
  },
  word: (value) => value, words: (value) => value.length, back: (node) => node,
}, { onError: () => undefined })
const rewriting = rewrite()

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id }: { readonly id: number }) => {
  over = true
  void rewriting.then(() => process.send?.({ id, result: writes }))
})
process.send?.({ id: 0, result: null })
