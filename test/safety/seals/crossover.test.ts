// Where sealing becomes cheaper than copying.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RpcError } from '../../../src/base/errors.js'
import { KEPT_BYTES } from '../../../src/safety/snapshot.js'
import { changeover, crossing, crossoverPages } from '../../../src/safety/seals/sender/crossover.js'
import { SealClient } from '../../../src/safety/seals/seal-client.js'

test('two lines meet where they meet, or nowhere', () => {
  assert.equal(crossing({ small: 20, large: 20 + 1023 }, { small: 1, large: 1 + 2 * 1023 }, 1024), 20)
  assert.equal(crossing({ small: 20, large: 1043 }, { small: 1, large: 1024 }, 1024), Infinity, 'as steep')
  assert.equal(crossing({ small: 20, large: 3000 }, { small: 1, large: 1024 }, 1024), Infinity, 'steeper')
  assert.equal(crossing({ small: 1, large: 100 }, { small: 2, large: 200 }, 1024), 0, 'always')
  assert.equal(crossing({ small: 1e9, large: 1e9 }, { small: 1, large: 2 }, 1024), Infinity, 'beyond any argument')
})

/** Copies beyond this go into fresh memory. */
const KEPT_PAGES = KEPT_BYTES / 4096
const seal = (pages: number): number => 20 + pages
const CASES: Readonly<Record<string, (pages: number) => number>> = {
  'dearer by the page': (pages) => 1 + 2 * pages,
  'dearer once it needs fresh memory': (pages) => 1 + (pages > KEPT_PAGES ? 4 : 0.5) * pages,
  'cheaper at every length': (pages) => 1 + 0.9 * pages,
  'dearer at every length': (pages) => 30 + 2 * pages,
}

for (const [what, copy] of Object.entries(CASES)) {
  test(`auto takes the cheaper one at each length, where a copy is ${what}`, () => {
    const from = changeover(seal, copy)
    for (let pages = 1; pages <= 16 * KEPT_PAGES; pages += pages < 64 ? 1 : 61) {
      assert.equal(pages >= from, seal(pages) <= copy(pages), `${pages} pages, from ${from} on`)
    }
  })
}

test('where nothing can be measured auto copies, and measures when it can', async () => {
  using nobody = new SealClient(() => Promise.reject(new RpcError('UNAVAILABLE', 'as pretended')))
  assert.equal(await crossoverPages(nobody), Infinity)
  using client = SealClient.ofDirectory()
  let asked = 0
  const attach = client.attachSender.bind(client)
  client.attachSender = (options) => {
    asked++
    return attach(options)
  }
  await crossoverPages(client)
  assert.equal(asked, 1)
})

test('this machine is measured once, and without seals or with cooperative ones nothing is', async () => {
  assert.equal(await crossoverPages(undefined), 0)
  using client = SealClient.ofDirectory()
  const pages = await crossoverPages(client)
  assert.ok(pages >= 0)
  using other = SealClient.ofDirectory()
  assert.equal(await crossoverPages(other), pages)
})
