// A hostile server as a process.
import { serve } from '../../src/index.js'
import { ObjectHeap } from '../../src/calls/heaps/object-heap.js'
import { Everything, everyHandler, Gates } from '../support/everything.js'
import { Random } from '../support/random.js'
import { serverAttacks, type Victim } from './server-attacks.js'

const [name, channel, seed] = process.argv.slice(2) as [string, string, string]
const random = new Random(Number(seed))
const victims = new Set<Victim>()
let attacks = 0
await serve(channel, Everything, everyHandler(new Gates()), {
  onError: () => undefined,
  onConnection: (connection) => {
    // It has no end yet: that comes when this function has returned.
    queueMicrotask(() => {
      const end = connection.end!
      const { region } = ObjectHeap.heapsOf(connection.heap)
      const victim = {
        ring: end.words, heap: region.i32, high: region.high, low: region.low, doorbell: (Reflect.get(end, 'doorbell') as { readonly fd: number }).fd,
      }
      victims.add(victim)
      connection.onClose = (): void => {
        victims.delete(victim)
      }
    })
  },
})

function attack(): void {
  // Its own end of a connection may be gone already: its memory is detached then.
  for (const victim of victims) {
    if (victim.ring.length === 0) continue
    attacks++
    serverAttacks[name]!(victim, random)
  }
  setImmediate(attack)
}
// What it does to its own tables may make its own code fail: a hostile process goes on.
process.on('uncaughtException', () => setImmediate(attack))
process.on('unhandledRejection', () => undefined)
process.on('disconnect', () => process.exit(0))
process.on('message', ({ id }: { id: number }) => process.send?.({ id, result: attacks }))
process.send?.({ id: 0, result: null })
attack()
