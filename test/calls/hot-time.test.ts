import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HotTime } from '../../src/calls/waiting/hot-time.js'

/** One wake-up at `now`, with so many messages before the end sleeps again. */
function wake(hot: HotTime, now: number, messages: number): void {
  hot.woken(now)
  for (let i = 0; i < messages; i++) hot.message()
  hot.sleeps(now + hot.ms)
}

test('messages that come alone shorten the time, down to none', () => {
  const hot = new HotTime(0.05)
  const times = Array.from({ length: 6 }, (_, i) => {
    wake(hot, 10 * i, 1)
    return hot.ms
  })
  assert.deepEqual(times, [0.025, 0.0125, 0.00625, 0, 0, 0])
})

test('a message that followed while it was awake, or just after it slept, gives the whole time back', () => {
  const hot = new HotTime(0.05)
  for (let i = 0; i < 6; i++) wake(hot, 10 * i, 1)
  wake(hot, 100, 2)
  assert.equal(hot.ms, 0.05)
  for (let i = 0; i < 6; i++) wake(hot, 200 + 10 * i, 1)
  assert.equal(hot.ms, 0)
  hot.woken(250.5)
  assert.equal(hot.ms, 0.05)
})

test('the pause of a client that calls again a little later is waited for, until it calls no more', () => {
  const hot = new HotTime(0.05)
  wake(hot, 10, 2)
  // It fell asleep at 10.05, after 0.05 without a message.
  wake(hot, 10.12, 3)
  assert.ok(Math.abs(hot.ms - 0.12) < 1e-9, `${hot.ms}`)
  wake(hot, 20, 2)
  assert.equal(hot.ms, 0.05)
})

test('a pause that is too long is not waited for', () => {
  const hot = new HotTime(0.05)
  for (let i = 0; i < 6; i++) wake(hot, 10 + i * 0.5, 2)
  assert.equal(hot.ms, 0.05)
})

test('a policy that never sleeps keeps its time', () => {
  assert.equal(new HotTime(Infinity).ms, Infinity)
})
