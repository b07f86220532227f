// A client that dies in the middle of a write to something shared, when its parent tells it to.
import { connect } from '../../src/index.js'
import { Tallies } from './tally.js'

const [channel] = process.argv.slice(2) as [string]
const tallies = await connect(channel, Tallies)
const tally = tallies.sync.tally()!
process.on('disconnect', () => process.exit(0))
process.on('message', () => {
  tally.counts.write((counts) => {
    counts.set('half done', 1)
    counts.delete('there')
    process.kill(process.pid, 'SIGKILL')
    for (;;) counts.set('half done', 2)
  })
})
process.send?.({ id: 0, result: null })
