// A hostile client whose seals are real and whose requests lie: about descriptor, range, flags and method; it seals over and over, asks for
// releases too early, and fills its pages with damaged objects. Arguments: channel, seed, milliseconds.
import { addressOf, connect, RpcError } from '../../src/index.js'
import { ControlWord, Line, NO_METHOD, Request, Slot, slotWord, WaitingFlag } from '../../src/layout/control-layout.js'
import { FreeSlots } from '../../src/calls/client/slots.js'
import type { ArgumentSeals } from '../../src/safety/index.js'
import { addon, mappingCount } from '../../src/sys/index.js'
import { Random } from '../support/random.js'
import { makeShaky, Shaky } from './isolated-service.js'
import { SealAttacked } from './sealed-service.js'

const [channel, seed, ms] = process.argv.slice(2) as [string, string, string]
const random = new Random(Number(seed))
const SLOTS = 16
const TURN_MS = 400

/** One connection, as long as the server bears it. @returns how many requests were made. */
async function attackOnce(over: () => boolean): Promise<number> {
  const conn = await connect(channel, SealAttacked, { slots: SLOTS, heapBytes: 1 << 20 })
  let gone = false
  void conn.closed.then(() => (gone = true))
  const { authority, heap } = Reflect.get(conn.end, 'seals') as ArgumentSeals
  const doorbell = (Reflect.get(conn.end, 'doorbell') as { readonly fd: number }).fd
  const ring = new Int32Array(conn.control.buffer)
  const prey = Array.from({ length: 4 }, (_, i) => {
    const scope = conn.createScope(4096)
    const root = addressOf(scope.new(Shaky, makeShaky(i) as never))
    return { page: scope.address, root, word: (scope.address - heap.address) / 4 + heap.region.shift, used: scope.usedBytes, index: -1 }
  })
  const free = new FreeSlots(SLOTS)
  const sequence = new Int32Array(SLOTS).fill(1)
  const inFlight = new Set<number>()
  let next = free.take()
  let requests = 0

  /** Unsealed pages are spoilt, and sealed; sealed ones are asked back, mostly too early. */
  const reseal = (one: (typeof prey)[number]): void => {
    try {
      if (one.index < 0) {
        const at = one.word + random.below(one.used >>> 2)
        const was = heap.region.i32[at]!
        if (random.chance(2)) heap.region.i32[at] = random.nasty()
        one.index = authority.queueSeal(one.page, 4096)
        authority.wait(authority.flush(), 2000)
        // Put right when it is unsealed again: without this nothing would be left to read.
        spoilt.set(one, [at, was])
      } else if (random.chance(2)) {
        authority.queueRelease(one.index)
        authority.wait(authority.flush(), 2000)
        one.index = -1
        const [at, was] = spoilt.get(one)!
        heap.region.i32[at] = was
      }
    } catch (error) {
      if (!RpcError.is(error)) throw error
    }
  }
  const spoilt = new Map<(typeof prey)[number], readonly [at: number, was: number]>()

  const request = (one: (typeof prey)[number]): void => {
    const slot = next
    const at = slotWord(slot)
    next = free.take()
    inFlight.add(slot)
    const lie = (address: number): number =>
      random.chance(3) ? random.one([address + 8, address + 4, address - 4096, address + 4096, random.word(), 0, heap.address - 8]) : address
    const [argument, scope] = [lie(one.root), lie(one.page)]
    ring[at + Slot.METHOD] = random.chance(8) ? random.one([NO_METHOD, 99, random.nasty()]) : 1 + random.below(7)
    ring[at + Slot.REQUEST] = random.one([Request.HAS_SEAL, Request.HAS_SEAL | Request.HAS_SCOPE, Request.HAS_SCOPE, 0, random.nasty() & Request.FLAGS]) |
      (next << Request.NEXT_SHIFT)
    ring[at + Slot.ARGUMENT] = argument | 0
    ring[at + Slot.ARGUMENT + 1] = Math.floor(argument / 2 ** 32)
    ring[at + Slot.SCOPE] = scope | 0
    ring[at + Slot.SCOPE + 1] = Math.floor(scope / 2 ** 32)
    ring[at + Slot.USED] = random.one([one.used, one.used, 4096, 64, 4097, 8192, 0, -1, -4, random.word()])
    ring[at + Slot.SEAL] = random.one([one.index, one.index, one.index, random.below(8), random.nasty()])
    Atomics.store(ring, at, sequence[slot]!)
    requests++
    if (Atomics.compareExchange(ring, ControlWord.SERVER_LINE + Line.WAITING, WaitingFlag.ASLEEP, 0) === WaitingFlag.ASLEEP) addon.ringDoorbell(doorbell)
  }

  while (!over() && !gone) {
    for (const slot of inFlight) {
      if (Atomics.load(ring, slotWord(slot)) !== ((sequence[slot]! + 1) | 0)) continue
      sequence[slot] = (sequence[slot]! + 2) | 0
      inFlight.delete(slot)
      free.give(slot)
    }
    prey.forEach(reseal)
    while (free.count > 0) request(random.one(prey))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await conn.close()
  return requests
}

async function attack(): Promise<{ readonly connections: number, readonly requests: number, readonly mappings: number }> {
  const end = performance.now() + Number(ms)
  let [connections, requests] = [0, 0]
  for (; performance.now() < end; connections++) {
    const turn = Math.min(end, performance.now() + TURN_MS)
    requests += await attackOnce(() => performance.now() > turn)
  }
  return { connections, requests, mappings: mappingCount() }
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id }: { id: number }) => void attack().then((result) => process.send?.({ id, result })))
process.send?.({ id: 0, result: null })
