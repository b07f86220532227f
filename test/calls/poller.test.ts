// The poll loop and the event loop that it lives in.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Pollable, Poller } from '../../src/calls/waiting/poller.js'
import { addon } from '../../src/sys/index.js'
import { YieldGuard } from '../../src/sys/yield-guard.js'

/** A loop that leaves no turn to anybody would never see that it is over. */
const MESSAGES_MAX = 50_000

/** An end whose peer shares our CPU: each time it is let run it has the next message ready. */
class EndlessPeer implements Pollable {
  readonly pausesByLoad = false
  active = false
  polls = 0
  messages = 0
  hasRun = false
  isOver = false

  poll(): number {
    if (this.isOver || this.messages > MESSAGES_MAX) return 0
    this.polls++
    if (!this.hasRun) return 0
    this.hasRun = false
    this.messages++
    return 1
  }

  rest(): boolean {
    return this.isOver
  }

  stayHot(): void {
    // Hot until it is over.
  }

  peerCpu(): number {
    return addon.currentCpu()
  }

  publishCpu(): void {
    // Nobody reads it.
  }
}

test('a peer on the same CPU that never stops calling leaves the event loop its turns', async (t) => {
  const poller = new Poller()
  const peer = new EndlessPeer()
  t.mock.method(YieldGuard.prototype, 'yield', () => (peer.hasRun = true))
  poller.add(peer)
  let most = 0
  for (let turn = 0, before = 0; turn < 500; turn++, before = peer.messages) {
    await new Promise(setImmediate)
    most = Math.max(most, peer.messages - before)
  }
  peer.isOver = true
  assert.ok(peer.messages > 1000, `${peer.messages} messages: the loop did not run`)
  // A tenth of a millisecond holds some hundreds.
  assert.ok(most < 5000, `${most} messages without a turn of the event loop`)
  await sleep(10)
  const { polls } = peer
  await sleep(5)
  assert.equal(peer.polls, polls, 'it has left the loop')
})
