// After a daemon's death its participants claim what they held from the next one: what they were given, and nothing else.
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDaemonKey, signWith } from '../../src/control/daemon/key.js'
import { CLAIM_GRACE_MS, EXPECTED_MS } from '../../src/control/protocol/limits.js'
import type { Notice } from '../../src/control/protocol/messages.js'
import type { HeapRecord } from '../../src/control/orchestrator/state.js'
import type { Address } from '../../src/base/numbers.js'
import type { HeapId } from '../../src/control/protocol/types.js'
import { World, type ModelParticipant } from './model.js'

const OPEN = { type: 'open', heapBytes: 8192, controlBytes: 4096, info: 'null', timeoutMs: 1000 } as const
const NOBODY_EXPECTED = /nobody is expected to claim heap \d+ as member \d+/
const NOBODY_GAVE = /no daemon of this runtime directory gave this process/

function done(notice: Notice | undefined): void {
  assert.equal(notice?.type, 'done', notice?.type === 'error' ? notice.message : undefined)
}

function refused(notice: Notice | undefined, code: string, message: RegExp): void {
  assert.ok(notice?.type === 'error', 'it is refused')
  assert.equal(notice.code, code)
  assert.match(notice.message, message)
}

/** A server, its client, and one more of another user, whom the daemon serves too and who knows all that is no secret. */
function connected(sharedBytes = 0): { world: World, server: ModelParticipant, client: ModelParticipant, other: ModelParticipant } {
  const world = new World(100)
  const [server, client, other] = [world.join({ uid: 1 }), world.join({ uid: 2, standing: 'user' }), world.join({ uid: 3, standing: 'user' })]
  world.ask(server, { type: 'register', channel: 'a', info: 'null', sharedBytes, publishedBytes: 0 })
  world.ask(client, { ...OPEN, channel: 'a' })
  const end = server.undecided.pop()!
  server.ends.push(end)
  world.post(server, { type: 'accept', connection: end.id, answer: 'null' })
  return { world, server, client, other }
}

const claimOf = ({ id, end, token, control }: ModelParticipant['ends'][number]) =>
  ({ type: 'claimConnection', connection: id, end, channel: 'a', token, control: { heap: control.heap, member: control.member }, heaps: [] }) as const

test('what another user holds cannot be claimed before its holder comes back, nor afterwards', () => {
  const { world, server, client, other } = connected()
  world.restart(1_000_000, 5)
  // Whether the claimer guesses the proof, or has it from somebody else.
  const attempts = client.memory.flatMap((memory) => ['f'.repeat(32), memory.proof].map((proof) => ({ ...memory, proof })))
  for (const memory of attempts) refused(world.claim(other, memory), 'PERMISSION_DENIED', NOBODY_GAVE)
  refused(world.ask(other, { ...claimOf(client.ends[0]!), token: 'f'.repeat(32) }), 'PERMISSION_DENIED', NOBODY_GAVE)
  assert.ok(world.table<HeapRecord>('heaps').every(({ holders }) => holders.length === 0))
  for (const one of [server, client]) {
    for (const memory of one.memory) done(world.claim(one, memory))
    done(world.ask(one, claimOf({ ...one.ends[0]!, channel: 'a' })))
  }
  for (const memory of attempts) refused(world.claim(other, memory), 'ABORTED', NOBODY_EXPECTED)
  world.checkInvariants()
})

test('each word of a claim is proven: another member, heap, part, channel or connection is refused', () => {
  const { world, client } = connected()
  world.restart(1_000_000, 5)
  const [control, heap] = client.memory
  for (const change of [{ heap: control!.heap }, { proof: control!.proof }]) refused(world.claim(client, { ...heap!, ...change }), 'PERMISSION_DENIED', NOBODY_GAVE)
  for (const change of [{ member: 7 }, { heap: 99 as HeapId }]) refused(world.claim(client, { ...heap!, ...change }), 'ABORTED', NOBODY_EXPECTED)
  for (const memory of client.memory) done(world.claim(client, memory))
  const claim = claimOf(client.ends[0]!)
  refused(world.ask(client, { ...claim, channel: 'b' }), 'PERMISSION_DENIED', NOBODY_GAVE)
  refused(world.ask(client, { ...claim, connection: claim.connection + 1 }), 'PERMISSION_DENIED', NOBODY_GAVE)
  // What it was given as a client makes no server.
  refused(world.ask(client, { ...claim, end: 'server' }), 'ABORTED', /is not this isolate's/)
  done(world.ask(client, claim))
})

test('a proof ends with its attachment: it claims neither what is free nor what others were given since, whoever comes first', () => {
  const { world, server, client, other } = connected()
  // One more connection, which ends.
  world.ask(other, { ...OPEN, channel: 'a' })
  const end = server.undecided.pop()!
  world.post(server, { type: 'accept', connection: end.id, answer: 'null' })
  const stale = other.memory.splice(0)
  for (const { heap, member } of stale) world.post(other, { type: 'release', heap, member })
  world.post(other, { type: 'close', connection: end.id, end: 'client' })
  for (const { heap, member } of server.memory.filter(({ heap }) => stale.some((one) => one.heap === heap))) world.post(server, { type: 'release', heap, member })
  world.post(server, { type: 'close', connection: end.id, end: 'server' })
  const claimStale = (): void => {
    for (const memory of stale) refused(world.claim(other, memory), 'ABORTED', NOBODY_EXPECTED)
    refused(world.ask(other, claimOf(other.ends[0]!)), 'ABORTED', /is not this isolate's to claim a connection with/)
  }
  // From the same slot on: what the stale proofs name is given to others.
  world.restart(1_000_000, 0)
  for (const one of [server, client]) for (const memory of one.memory) if (world.book.has(`${memory.heap}/${memory.member}`)) done(world.claim(one, memory))
  world.ask(server, { type: 'register', channel: 'b', info: 'null', sharedBytes: 0, publishedBytes: 0 })
  world.ask(client, { ...OPEN, channel: 'b' })
  const fresh = server.undecided.pop()!
  world.post(server, { type: 'accept', connection: fresh.id, answer: 'null' })
  const given = client.memory.filter(({ heap }) => heap >= 1_000_000)
  assert.ok(given.some(({ address }) => stale.some((one) => one.address === address)), 'an address of the ended connection was given to another one')
  claimStale()
  world.restart(2_000_000, 5)
  claimStale()
  for (const one of [client, server]) {
    for (const memory of one.memory.filter(({ heap }) => heap >= 1_000_000)) done(world.claim(one, memory))
  }
  done(world.ask(client, { ...claimOf(client.ends.at(-1)!), channel: 'b' }))
  done(world.ask(server, { ...claimOf(fresh), channel: 'b' }))
  claimStale()
  world.checkInvariants()
})

test('what was given out when the daemon died is kept from others until it is claimed, for a minute', () => {
  const { world, server, client, other } = connected()
  world.restart(1_000_000, 0)
  const taken = client.memory.map(({ address }) => address)
  const openAnother = (): Address[] => {
    const name = `b${world.now}`
    world.ask(server, { type: 'register', channel: name, info: 'null', sharedBytes: 0, publishedBytes: 0 })
    const before = other.memory.length
    world.ask(other, { ...OPEN, channel: name })
    world.post(server, { type: 'accept', connection: server.undecided.pop()!.id, answer: 'null' })
    return other.memory.slice(before).map(({ address }) => address)
  }
  assert.ok(openAnother().every((address) => !taken.includes(address)))
  world.now += EXPECTED_MS
  world.handle({ type: 'tick' })
  for (const memory of client.memory) refused(world.claim(client, memory), 'ABORTED', NOBODY_EXPECTED)
  assert.equal(world.book.size, 4, 'the book holds the new connection only')
  world.restart(2_000_000, 0)
  assert.deepEqual(new Set(openAnother()), new Set(taken))
  world.checkInvariants()
})

test('a name that was taken when the daemon died is its server\'s user\'s alone for a minute, whoever comes first', () => {
  const { world, server, other } = connected()
  const register = (who: ModelParticipant, channel: string) => world.ask(who, { type: 'register', channel, info: 'null', sharedBytes: 0, publishedBytes: 0 })
  register(server, 'given-back')
  done(world.ask(server, { type: 'unregister', channel: 'given-back' }))
  world.restart(1_000_000, 5)
  refused(register(other, 'a'), 'ALREADY_EXISTS', /belongs to a server of user 1, which is expected back/)
  refused(world.ask(other, { type: 'claimChannel', channel: 'a', info: 'null', heaps: [] }), 'ALREADY_EXISTS', /expected back/)
  for (const name of ['b', 'given-back']) assert.equal(register(other, name)?.type, 'registered')
  done(world.ask(server, { type: 'claimChannel', channel: 'a', info: 'null', heaps: [] }))
  refused(register(other, 'a'), 'ALREADY_EXISTS', /taken by process/)
  // Its server was there: the name is free with it.
  world.leave(server)
  assert.equal(register(other, 'a')?.type, 'registered')
  world.restart(2_000_000, 5)
  const third = world.join({ uid: 4, standing: 'user' })
  refused(register(third, 'b'), 'ALREADY_EXISTS', /expected back/)
  world.now += EXPECTED_MS
  world.handle({ type: 'tick' })
  assert.equal(register(third, 'b')?.type, 'registered')
  world.checkInvariants()
})

test('an end that comes back too late for its connection gives everything back, its control region with it', () => {
  const { world, server, client } = connected()
  world.restart(1_000_000, 5)
  const [theirs, ours] = [server.ends[0]!, client.ends[0]!]
  for (const memory of server.memory) done(world.claim(server, memory))
  done(world.ask(server, claimOf(theirs)))
  world.now += CLAIM_GRACE_MS
  world.handle({ type: 'tick' })
  for (const memory of client.memory) done(world.claim(client, memory))
  refused(world.ask(client, claimOf(ours)), 'ABORTED', /is known otherwise/)
  for (const [one, end] of [[client, ours], [server, theirs]] as const) {
    for (const { heap, member } of one.memory) world.post(one, { type: 'release', heap, member })
    world.post(one, { type: 'close', connection: end.id, end: end.end })
  }
  assert.deepEqual(world.table<HeapRecord>('heaps'), [])
  world.checkInvariants()
})

test('a member of a shared heap that was told as gone does not come back', () => {
  const { world, server, client } = connected(8192)
  world.restart(1_000_000, 5)
  const shared = (one: ModelParticipant) => one.memory.find(({ kind }) => kind === 'shared')!
  done(world.claim(server, shared(server)))
  world.now += CLAIM_GRACE_MS
  world.handle({ type: 'tick' })
  assert.ok(server.inbox.some((notice) => notice.type === 'livingMembers' && notice.living.length === 1))
  refused(world.claim(client, shared(client)), 'ABORTED', NOBODY_EXPECTED)
  world.checkInvariants()
})

test('a connection cannot be claimed with what another one has, nor with anything twice', () => {
  const { world, server, client } = connected()
  world.ask(client, { ...OPEN, channel: 'a' })
  const first = client.ends[0]!
  const pending = server.undecided.pop()!
  for (const end of ['client', 'server'] as const) world.post(end === 'client' ? client : server, { type: 'close', connection: first.id, end })
  // Its token is still known to who had it; what the connection that is not accepted yet holds would go when it is closed again.
  refused(world.ask(client, { ...claimOf(first), control: { heap: pending.control.heap, member: 1 } }), 'ABORTED', /is not this isolate's to claim a connection with/)
  world.post(server, { type: 'accept', connection: pending.id, answer: 'null' })
  world.checkInvariants()
  world.restart(1_000_000, 5)
  const second = client.ends.at(-1)!
  for (const memory of client.memory) world.claim(client, memory)
  const claim = claimOf(second)
  // Each attachment goes with the connection that it came with.
  refused(world.ask(client, { ...claimOf(first), control: claim.control }), 'ABORTED', /is not this isolate's to claim a connection with/)
  refused(world.ask(client, { ...claim, heaps: [claim.control] }), 'ABORTED', /is not this isolate's to claim a connection with/)
  done(world.ask(client, claim))
})

test('a client of a shared heap cannot hand out another file in its place, and its name is its server\'s', () => {
  const { world, server, client } = connected(8192)
  world.restart(1_000_000, 5)
  const shared = client.memory.find(({ kind }) => kind === 'shared')!
  done(world.claim(client, shared))
  const claim = { type: 'claimChannel', channel: 'a', info: 'null', heaps: [{ heap: shared.heap, member: shared.member, byteLength: 8192 }] } as const
  refused(world.ask(client, claim), 'ABORTED', /is not this server's to share/)
  const own = server.memory.find(({ kind }) => kind === 'shared')!
  done(world.claim(server, own))
  done(world.ask(server, { ...claim, heaps: [{ ...claim.heaps[0], member: own.member }] }))
  world.checkInvariants()
})

test('the key is its owner\'s alone, outlives a daemon, and is made anew when others could know it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-key-'))
  try {
    const path = join(folder, 'daemon.key')
    const first = openDaemonKey(folder)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.deepEqual(openDaemonKey(folder), first)
    assert.equal(signWith(first)('a'), signWith(openDaemonKey(folder))('a'))
    assert.match(signWith(first)('a'), /^[0-9a-f]{32}$/)
    for (const spoil of [() => chmodSync(path, 0o644), () => truncateSync(path, 31), () => rmSync(path)]) {
      const before = openDaemonKey(folder)
      spoil()
      const after = openDaemonKey(folder)
      assert.notDeepEqual(after, before)
      assert.notEqual(signWith(after)('a'), signWith(before)('a'))
      assert.equal(statSync(path).mode & 0o777, 0o600)
      assert.deepEqual(readFileSync(path), after)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
