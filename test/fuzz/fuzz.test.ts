// Some seconds of each fuzz target, and every case that ever failed. `npm run fuzz` goes on for as long as one likes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../support/random.js'
import { fuzzFor, FuzzFailure, regressions, type FuzzTarget } from './target.js'
import { TARGETS } from './targets/index.js'

const MS = 1500

for (const [name, make] of Object.entries(TARGETS)) {
  test(`${name}: random cases`, (t) => {
    const { cases, seed } = fuzzFor(make(), MS)
    t.diagnostic(`${cases} cases from seed ${seed}`)
    assert.ok(cases > 0)
  })
}

test('cases that failed once', () => {
  for (const { target, seed } of regressions()) {
    const make = TARGETS[target]
    assert.ok(make !== undefined, `no target is called ${target}`)
    make().tryCase(new Random(seed))
  }
})

test('a failing case is told by its seed', () => {
  const failing: FuzzTarget = {
    name: 'failing',
    tryCase: (random) => {
      if (random.below(50) === 7) throw new TypeError('found')
    },
  }
  assert.throws(() => fuzzFor(failing, 10_000, { first: 1, keep: false }), (error) => error instanceof FuzzFailure && error.cause instanceof TypeError)
})
