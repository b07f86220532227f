// The way of waiting called `paper`: what it makes of a load that is given.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CpuLoad, parseCpuTimes, pauseMicroseconds } from '../../src/calls/waiting/cpu-load.js'
import { addon } from '../../src/sys/index.js'

test('pauses by load are the paper\'s: none below 25 %, 5 µs up to 50 %, 150 µs above', () => {
  const pauses = [0, 0.1, 0.2499, 0.25, 0.4, 0.5, 0.5001, 0.9, 1].map((load) => [load, pauseMicroseconds(load)])
  assert.deepEqual(pauses, [[0, 0], [0.1, 0], [0.2499, 0], [0.25, 5], [0.4, 5], [0.5, 5], [0.5001, 150], [0.9, 150], [1, 150]])
})

test('waiting for the disk is no work, and guests are not counted twice', () => {
  // user nice system idle iowait irq softirq steal guest guest_nice
  assert.deepEqual(parseCpuTimes('cpu  10 20 30 400 50 6 7 8 1000 2000\ncpu0 1 1 1 1 1 1 1 1 1 1\n'), [10 + 20 + 30 + 6 + 7 + 8, 531])
})

test('the load is of the time since the last look, a tenth of a second or more ago', (t) => {
  let [now, busy, idle] = [1000, 900, 100]
  const slept: number[] = []
  t.mock.method(addon, 'sleepMicroseconds', (duration: number) => void slept.push(duration))
  t.mock.method(performance, 'now', () => now)
  const load = new CpuLoad(() => `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\n`)
  const pauseAfter = (ms: number, moreBusy: number, moreIdle: number): number => {
    now += ms
    busy += moreBusy
    idle += moreIdle
    slept.length = 0
    load.pause()
    return slept[0] ?? 0
  }
  const pauses = [
    pauseAfter(0, 0, 0), pauseAfter(100, 10, 90), pauseAfter(100, 30, 70), pauseAfter(100, 60, 40),
    // Not looked at so soon, and then together with what comes later.
    pauseAfter(50, 0, 100), pauseAfter(50, 0, 100),
  ]
  assert.deepEqual(pauses, [150, 0, 5, 150, 150, 0])
})
