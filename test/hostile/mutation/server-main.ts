// A server all of whose shared memory is rewritten while it serves. Arguments: channel, what is rewritten, seed.
import { serve, type ServerConnection } from '../../../src/index.js'
import { ControlWord, Line } from '../../../src/layout/control-layout.js'
import { addon } from '../../../src/sys/index.js'
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
const RINGS_MAX = 8
const RING_PAUSE_MS = 2
/** What is used most lies at the start of a heap. */
const HOT_BYTES = 64 << 10
const writes: Writes = {}
let over = false

function prey(): Prey[] {
  const own = mappingsOf(channel)
  const all: Prey[] = [
    ...mappingsOf('seal-descriptors').map((range) => ({ name: 'seal descriptors', ...range, hotBytes: 4096 })),
    ...own.filter(({ byteLength }) => byteLength <= CONTROL_BYTES_MAX).map((range) => ({ name: 'control region', ...range, pauseUs: CONTROL_PAUSE_US })),
    ...own.filter(({ byteLength }) => byteLength > CONTROL_BYTES_MAX).map((range) => ({ name: 'heap', ...range, hotBytes: HOT_BYTES })),
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

/** The clients' ends, and how to wake them. */
const clients = new Map<ServerConnection, { readonly words: Int32Array, readonly fd: number }>()

/** Wakes them for nothing, and says that it sleeps, or does not, whatever it does. */
async function ringAllTheTime(): Promise<void> {
  writes['doorbell'] = 0
  while (!over) {
    for (const { words, fd } of clients.values()) {
      for (let i = random.below(RINGS_MAX); i > 0 && words.length > 0; i--) {
        // Calls of a client that believes it awake end at their deadlines: seldom, or there would be few others.
        if (random.chance(150)) Atomics.store(words, ControlWord.SERVER_LINE + Line.WAITING, random.below(4))
        addon.ringDoorbell(fd)
        writes['doorbell']++
      }
    }
    await new Promise((resolve) => setTimeout(resolve, RING_PAUSE_MS))
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
}, {
  onError: () => undefined,
  onConnection: (connection) => {
    // It has no end yet: that comes when this function has returned.
    queueMicrotask(() => {
      const end = connection.end!
      clients.set(connection, { words: end.words, fd: (Reflect.get(end, 'doorbell') as { readonly fd: number }).fd })
      connection.onClose = (): void => void clients.delete(connection)
    })
  },
})
const rewriting = Promise.all([rewrite(), target === 'doorbell' || target === 'everything' ? ringAllTheTime() : undefined])

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, command }: { readonly id: number, readonly command: string }) => {
  over ||= command === 'stop'
  if (over) void rewriting.then(() => process.send?.({ id, result: writes }))
  else process.send?.({ id, result: writes })
})
process.send?.({ id: 0, result: null })
