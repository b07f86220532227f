// Random histories of participants: whatever they do and whenever they die, addresses stay unique and nothing is left behind.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { HeapId } from '../../src/control/protocol/types.js'
import { World, type ModelParticipant } from './model.js'

const NAMES = ['a', 'a/b', 'rack1/users/search', 'bad//name']
const SIZES = [4096, 2 * 1024 * 1024, 2 ** 32 - 4096, 2 ** 32]

interface Step {
  readonly kind: number
  readonly who: number
  readonly what: number
}

const step = fc.record({ kind: fc.nat(14), who: fc.nat(7), what: fc.nat(1000) })

function pick<T>(list: readonly T[], index: number): T | undefined {
  return list.length === 0 ? undefined : list[index % list.length]
}

function act(world: World, { kind, who, what }: Step): void {
  const participant = pick(world.participants, who)
  if (kind === 0 || participant === undefined) return void (world.participants.length < 8 && world.join())
  const name = pick(NAMES, what)!
  const byteLength = pick(SIZES, what >> 2)!
  switch (kind) {
    case 1: return world.leave(participant)
    case 2: return void world.ask(participant, { type: 'register', channel: name, info: '{}', sharedBytes: what % 3 === 0 ? byteLength : 0, publishedBytes: what % 4 === 0 ? byteLength : 0 })
    case 3: return void world.ask(participant, { type: 'unregister', channel: name })
    case 4: case 5: return void world.ask(participant, { type: 'open', channel: name, heapBytes: byteLength, controlBytes: 8192, info: '1', timeoutMs: 1 + what })
    case 6: case 7: return decide(world, participant, what)
    case 8: return void world.ask(participant, { type: 'grow', connection: pick(participant.ends, what)?.id ?? 7, end: pick(participant.ends, what)?.end ?? 'client', byteLength, kind: (what & 1) === 0 ? 'private' : 'sealable' })
    case 9: return void world.ask(participant, { type: 'growChannel', channel: name, byteLength })
    case 10: {
      const memory = pick(participant.memory, what)
      return world.post(participant, { type: 'release', heap: memory?.heap ?? (5 as HeapId), member: memory?.member ?? 3 })
    }
    case 11: {
      const end = pick(participant.ends, what)
      if (end !== undefined) world.post(participant, { type: 'close', connection: end.id, end: end.end })
      return undefined
    }
    case 12: {
      const request = 1 + (what % participant.nextRequest)
      participant.outstanding.delete(request)
      return world.post(participant, { type: 'cancel', request })
    }
    case 13:
      world.now += what
      return world.handle({ type: 'tick' })
    default:
      world.failCreations = what % 3
      return undefined
  }
}

function decide(world: World, participant: ModelParticipant, what: number): void {
  const end = participant.undecided.splice(what % Math.max(1, participant.undecided.length), 1)[0]
  if (end === undefined) return
  if (what % 4 === 0) return world.post(participant, { type: 'refuse', connection: end.id, code: 'PERMISSION_DENIED', message: 'no' })
  participant.ends.push(end)
  return world.post(participant, { type: 'accept', connection: end.id, answer: '{}' })
}

test('any history keeps addresses unique, answers each request once, and ends with nothing left', () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 150, size: 'max' }), fc.nat(5118), (steps, firstSlot) => {
    const world = new World(1, firstSlot)
    for (const one of steps) {
      act(world, one)
      world.checkInvariants()
    }
    world.now += 1e9
    world.handle({ type: 'tick' })
    for (const participant of world.participants) assert.equal(participant.outstanding.size, 0, 'every request was answered')
    while (world.participants.length > 0) {
      world.leave(world.participants[0]!)
      world.checkInvariants()
    }
    world.checkEmpty()
  }), { numRuns: 1500 })
})

test('after a restart, claims of everything keep the invariants, and nothing is left in the end', () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 100, size: 'max' }), fc.array(step, { maxLength: 60, size: 'max' }), fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), (before, after, comesBack) => {
    const world = new World()
    for (const one of before) act(world, one)
    world.failCreations = 0
    world.restart(1_000_000, 1)
    for (const [index, participant] of [...world.participants].entries()) {
      if (comesBack[index] !== true) {
        world.leave(participant)
        continue
      }
      for (const memory of participant.memory) {
        const answer = world.claim(participant, memory)
        assert.ok(answer?.type === 'done' || (answer?.type === 'error' && answer.code !== 'PERMISSION_DENIED'), 'what it was given is its own to claim')
      }
      for (const { id, end, channel, token, control } of [...participant.ends, ...participant.undecided]) {
        world.ask(participant, { type: 'claimConnection', connection: id, end, channel, token, control, heaps: [] })
      }
      world.checkInvariants()
    }
    for (const one of after) {
      act(world, one)
      world.checkInvariants()
    }
    while (world.participants.length > 0) world.leave(world.participants[0]!)
    world.checkEmpty()
  }), { numRuns: 1000 })
})
