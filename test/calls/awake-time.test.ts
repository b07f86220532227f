import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AwakeTime } from '../../src/calls/waiting/awake-time.js'

/** Waits in vain until it is not worth it any more; how long it waited each time. */
function giveUp(awake: AwakeTime): number[] {
  const times = []
  for (let now = 0; awake.ms > 0; now += 10) {
    times.push(awake.ms)
    awake.inVain(now)
  }
  return times
}

test('answers that do not come in time shorten it, down to none', () => {
  assert.deepEqual(giveUp(new AwakeTime(0.1)), [0.1, 0.05, 0.025, 0.0125, 0.00625])
})

test('an answer seen awake gives the whole time back', () => {
  const awake = new AwakeTime(0.1)
  giveUp(awake)
  awake.answered()
  assert.equal(awake.ms, 0.1)
})

test('an answer that would have been seen awake gives it back, a later one does not', () => {
  const awake = new AwakeTime(0.1)
  giveUp(awake)
  awake.sent(1000)
  awake.woken(1000.2)
  assert.equal(awake.ms, 0)
  awake.sent(2000)
  awake.woken(2000.05)
  assert.equal(awake.ms, 0.1)
})

test('it counts from the sending, not from when the end fell asleep', () => {
  const awake = new AwakeTime(0.1)
  awake.inVain(1000)
  awake.woken(1000.05)
  assert.equal(awake.ms, 0.05)
})

test('policies that always or never wait awake are left alone', () => {
  const never = new AwakeTime(0)
  never.sent(10)
  never.woken(10)
  assert.equal(never.ms, 0)
  assert.equal(new AwakeTime(Infinity).ms, Infinity)
})
