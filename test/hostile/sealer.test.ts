// Strangers at the sealer: what they send is refused or answered, what they bring is closed, and a sender beside them goes on.
import assert from 'node:assert/strict'
import { openSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { runtimeDirectory } from '../../src/control/index.js'
import { encodeMessage } from '../../src/control/protocol/messages.js'
import { sealerSocket } from '../../src/control/place/runtime-directory.js'
import { SEALER_VERSION } from '../../src/safety/seals/messages.js'
import { addon, connectUnix, createMemoryFile, errnoCode, receivePacket, sendPacket } from '../../src/sys/index.js'
import { newSeed, Random } from '../support/random.js'
import { mutatedMessage } from '../fuzz/targets/mutated.js'
import { REQUESTS } from '../fuzz/targets/sealing.js'
import { openUserfaultfd, sealOnce } from '../safety/seals/ground.js'
import { serviceProcess } from '../safety/seals/services.js'

const STRANGERS = 8
const MS = 2000
/** Where there was not enough in that time: a machine that is busy with other things takes longer. */
const MS_MAX = 20_000
const PACKETS_PER_TURN = 40

const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

/** The descriptors of what a stranger has at hand; its own to close. */
function strange(random: Random): number[] {
  return Array.from({ length: random.chance(2) ? 1 : random.below(4) }, () => {
    switch (random.below(4)) {
      case 0: return createMemoryFile('strange', PAGE_BYTES * 16, random.chance(2))
      case 1: return addon.createBell()
      case 2: return openSync('/dev/null', 'r+')
      default: return openSync('/proc/self/maps', 'r')
    }
  })
}

class Stranger {
  sent = 0
  answers = 0
  dropped = 0
  #fd = -1

  constructor(readonly random: Random) {}

  turn(): void {
    try {
      this.#fd = this.#fd >= 0 ? this.#fd : this.#greet()
      for (let i = 0; i < PACKETS_PER_TURN; i++) this.#send()
      for (let packet = receivePacket(this.#fd); packet !== undefined; packet = receivePacket(this.#fd)) {
        for (const fd of packet.fds) addon.closeFd(fd)
        if (packet.bytes.length === 0) return this.#isDropped()
        this.answers++
      }
    } catch (error) {
      if (errnoCode(error) === undefined) throw error
      this.#isDropped()
    }
    return undefined
  }

  #isDropped(): void {
    this.dropped++
    this.close()
  }

  close(): void {
    if (this.#fd >= 0) addon.closeFd(this.#fd)
    this.#fd = -1
  }

  #greet(): number {
    const fd = connectUnix(sealerSocket(runtimeDirectory()), 'packets')
    sendPacket(fd, encodeMessage({ type: 'hello', version: SEALER_VERSION }), [])
    return fd
  }

  #send(): void {
    const { random } = this
    const fds = strange(random)
    try {
      // Mostly such as are understood: both ends of one heap, too.
      const message = random.one(REQUESTS)
      const bytes = random.chance(3) ? mutatedMessage(random, message) : encodeMessage('id' in message ? { ...message, id: 1 + random.below(1000) } : message)
      if (sendPacket(this.#fd, bytes, fds)) this.sent++
    } finally {
      for (const fd of fds) addon.closeFd(fd)
    }
  }
}

test('what strangers send and bring to the sealer leaves nothing there, and keeps nobody from sealing', async (t) => {
  await using ground = await openUserfaultfd({ pages: 64, descriptors: 64 })
  const sealer = serviceProcess('sealer')
  sealOnce(ground, 0)
  const before = descriptorsOf(sealer)
  const seed = newSeed()
  t.diagnostic(`RPCOOL_SEED=${seed}`)
  const strangers = Array.from({ length: STRANGERS }, (_, i) => new Stranger(new Random(seed + i)))
  let rounds = 0
  const sum = (what: 'sent' | 'answers' | 'dropped'): number => strangers.reduce((total, one) => total + one[what], 0)
  const isEnough = (): boolean => sum('sent') > 500 && sum('answers') > 50 && sum('dropped') > 5 && rounds > 50
  for (const start = performance.now(); performance.now() < start + MS || (!isEnough() && performance.now() < start + MS_MAX); rounds++) {
    strangers[rounds % STRANGERS]!.turn()
    sealOnce(ground, rounds % 60)
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.diagnostic(`${sum('sent')} messages sent, ${sum('answers')} answered, ${sum('dropped')} links dropped, ${rounds} seals beside them`)
  for (const stranger of strangers) stranger.close()
  for (let waited = 0; descriptorsOf(sealer) > before && waited < 10_000; waited += 20) await sleep(20)
  assert.equal(serviceProcess('sealer'), sealer, 'the sealer lives')
  assert.ok(descriptorsOf(sealer) <= before, `${descriptorsOf(sealer)} descriptors, ${before} before`)
  assert.ok(isEnough())
})

