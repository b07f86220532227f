// Where sealing becomes cheaper than copying.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crossing, crossoverPages } from '../../../src/safety/seals/sender/crossover.js'
import { SealClient } from '../../../src/safety/seals/seal-client.js'

test('two lines meet where they meet, or nowhere', () => {
  assert.equal(crossing({ small: 20, large: 20 + 1023 }, { small: 1, large: 1 + 2 * 1023 }, 1024), 20)
  assert.equal(crossing({ small: 20, large: 1043 }, { small: 1, large: 1024 }, 1024), Infinity, 'as steep')
  assert.equal(crossing({ small: 20, large: 3000 }, { small: 1, large: 1024 }, 1024), Infinity, 'steeper')
  assert.equal(crossing({ small: 1, large: 100 }, { small: 2, large: 200 }, 1024), 0, 'always')
  assert.equal(crossing({ small: 1e9, large: 1e9 }, { small: 1, large: 2 }, 1024), Infinity, 'beyond any argument')
})

test('this machine is measured once, and without seals or with cooperative ones nothing is', async () => {
  assert.equal(await crossoverPages(undefined), 0)
  using client = SealClient.ofDirectory()
  const pages = await crossoverPages(client)
  assert.ok(pages >= 0)
  using other = SealClient.ofDirectory()
  assert.equal(await crossoverPages(other), pages)
})
