import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { serve, type View } from '../../src/index.js'
import { Ground } from '../support/ground.js'
import { Tallies, Tally } from '../support/tally.js'

test('a client that comes after the death of a lock\'s holder, of which nobody tells it, takes the lock over and undoes the half of the write', async (t) => {
  await using ground = await Ground.open(t)
  const made: View<typeof Tally>[] = []
  const server = ground.owns(await serve(ground.channel, Tallies, { tally: () => made[0] ?? null }, { sharedHeapBytes: 4 << 20 }))
  made.push(server.heap.new(Tally, { counts: new Map([['there', 1]]) }))
  const writers = await Promise.all([0, 1].map(() => ground.child('./dying-writer-main.js', ground.channel)))
  for (const [round, writer] of writers.entries()) {
    const ended = once(writer.process, 'exit')
    writer.ask('die').catch(() => undefined)
    await ended
    const late = await ground.connectTo(Tallies)
    const tally = (await late.tally())!
    // A reader first, then a writer.
    if (round === 0) assert.deepEqual([...tally.counts.read((counts) => [...counts])], [['there', 1]])
    tally.counts.write((counts) => counts.set('there', round + 1), { timeoutMs: 3000 })
    assert.deepEqual(made[0]!.counts.read((counts) => [...counts]), [['there', round + 1]])
  }
})
