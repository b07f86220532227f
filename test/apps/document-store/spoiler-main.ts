// A client of a trusting store that writes anything over the documents that are stored, for ever, until it is killed: arguments are the channel and a seed.
import { setTimeout as sleep } from 'node:timers/promises'
import { locationOf } from '../../../src/objects/index.js'
import { openStore } from '../../../apps/document-store/client.js'
import { Random } from '../../support/random.js'

/** Words from the document's own on: its body lies behind it, or in the blocks beside. */
const SPOILED_WORDS = 64

const [channel, seed] = process.argv.slice(2) as [string, string]
const client = await openStore(channel)
const random = new Random(Number(seed))
const results = client.sync.find({})
const places = Array.from(results, (document) => {
  const { region, word } = locationOf(document)
  // Also where its fields point to.
  const pointed = [2, 4, 6].map((field) => region.resolve(region.i32[word + field + 1]!, region.i32[word + field]!, SPOILED_WORDS)).filter((at) => at >= 0)
  return { region, words: [word, ...pointed] }
})
process.once('disconnect', () => process.exit(0))
process.send?.({ id: 0, result: null })
for (;;) {
  for (let i = 0; i < 8; i++) {
    const { region, words } = places[random.below(places.length)]!
    const at = words[random.below(words.length)]! + random.below(SPOILED_WORDS)
    if (at < region.words) region.i32[at] = random.chance(2) ? region.i32[words[0]! + random.below(8)]! : random.nasty()
  }
  await sleep(1)
}
