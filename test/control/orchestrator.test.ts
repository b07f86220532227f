// What the orchestrator decides, one rule at a time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MEMBER_MAX, PENDING_PER_SERVER_MAX } from '../../src/control/protocol/limits.js'
import { checkName, similarNames } from '../../src/control/protocol/names.js'
import type { Notice } from '../../src/control/protocol/messages.js'
import type { ConnectionId } from '../../src/control/protocol/types.js'
import { FOUR_GIB, World, type ModelParticipant } from './model.js'

function register(world: World, server: ModelParticipant, channel: string, sharedBytes = 0, publishedBytes = 0): Notice | undefined {
  return world.ask(server, { type: 'register', channel, info: '{"fingerprint":1}', sharedBytes, publishedBytes })
}

function open(world: World, client: ModelParticipant, channel: string, heapBytes = 8192): Notice | undefined {
  return world.ask(client, { type: 'open', channel, heapBytes, controlBytes: 4096, info: '"hi"', timeoutMs: 1000 })
}

/** A connection between two fresh participants. */
function connected(sharedBytes = 0): { world: World, server: ModelParticipant, client: ModelParticipant, id: ConnectionId } {
  const world = new World()
  const [server, client] = [world.join(), world.join()]
  register(world, server, 'a', sharedBytes)
  open(world, client, 'a')
  const { id } = server.undecided.pop()!
  world.post(server, { type: 'accept', connection: id, answer: '"welcome"' })
  return { world, server, client, id }
}

function of<T extends Notice['type']>(participant: ModelParticipant, type: T): Array<Extract<Notice, { type: T }>> {
  return participant.inbox.filter((notice): notice is Extract<Notice, { type: T }> => notice.type === type)
}

function assertError(notice: Notice | undefined, code: string, message: RegExp): void {
  assert.ok(notice?.type === 'error', `an error is expected, not ${notice?.type}`)
  assert.equal(notice.code, code)
  assert.match(notice.message, message)
}

test('names are paths of readable segments', () => {
  for (const good of ['a', 'rack1/users/search', 'A-b_c.d/0', 'x'.repeat(255), '...']) checkName(good)
  for (const bad of ['', '/a', 'a/', 'a//b', '.', 'a/..', 'a b', 'ü', 'a\0', 'x'.repeat(256)]) {
    assert.throws(() => checkName(bad), { code: 'INVALID_ARGUMENT' }, bad)
  }
})

test('an unknown channel is answered with the names that may have been meant', () => {
  assert.deepEqual(similarNames('rack1/user/search', ['rack1/users/search', 'other', 'rack2/search']), ['rack1/users/search', 'rack2/search'])
  const world = new World()
  register(world, world.join(), 'rack1/users')
  assertError(open(world, world.join(), 'rack1/user'), 'NOT_FOUND', /"rack1\/user".*did you mean rack1\/users\?/)
})

test('a name that is taken is answered with the process that has it', () => {
  const world = new World()
  const first = world.join()
  register(world, first, 'a')
  assertError(register(world, world.join(), 'a'), 'ALREADY_EXISTS', new RegExp(`process ${100 + first.id}`))
  world.leave(first)
  assert.equal(register(world, world.join(), 'a')?.type, 'registered')
})

test('both ends are told the same memory, with each other\'s member', () => {
  const { server, client } = connected()
  const [incoming] = of(server, 'incoming')
  const [opened] = of(client, 'opened')
  assert.equal(incoming?.token, opened?.token)
  assert.equal(incoming?.heaps[0]?.address, opened?.heaps[0]?.address)
  assert.equal(incoming?.heaps[0]?.member, opened?.heaps[0]?.peerMember)
  assert.equal(incoming?.heaps[0]?.peerMember, opened?.heaps[0]?.member)
  assert.equal(incoming?.info, '"hi"')
  assert.equal(opened?.answer, '"welcome"')
  assert.equal(opened?.serverInfo, '{"fingerprint":1}')
})

test('files of a connection\'s own memory are closed once both ends have them; a shared heap\'s while its channel lives', () => {
  assert.equal(connected().world.files.size, 0)
  const { world, server } = connected(4096)
  assert.equal(world.files.size, 1)
  world.ask(server, { type: 'unregister', channel: 'a' })
  assert.equal(world.files.size, 0)
})

test('the death of either end is told to the other, and its memory stays until that one gives it back', () => {
  for (const dying of ['server', 'client'] as const) {
    const { world, server, client, id } = connected()
    const [dead, survivor, end] = dying === 'server' ? [server, client, 'client' as const] : [client, server, 'server' as const]
    world.leave(dead)
    assert.deepEqual(of(survivor, 'peerDied'), [{ type: 'peerDied', connection: id, end }])
    assert.equal(of(survivor, 'memberGone').length, 1)
    assert.equal(world.table('heaps').length, 2)
    const heap = survivor.memory.find(({ kind }) => kind === 'private')!
    world.post(survivor, { type: 'release', heap: heap.heap, member: heap.member })
    world.post(survivor, { type: 'close', connection: id, end })
    assert.deepEqual([world.table('heaps'), world.table('connections')], [[], []])
  }
})

test('a server that dies or closes before it decides fails the open; a late decision is told', () => {
  const world = new World()
  const [server, client] = [world.join(), world.join()]
  register(world, server, 'a')
  open(world, client, 'a')
  world.ask(server, { type: 'unregister', channel: 'a' })
  assertError(client.inbox.at(-1), 'UNAVAILABLE', /closed the channel/)
  register(world, server, 'a')
  open(world, client, 'a')
  world.now += 1000
  world.handle({ type: 'tick' })
  assertError(client.inbox.at(-1), 'DEADLINE_EXCEEDED', /in time/)
  const late = server.undecided.pop()!
  world.post(server, { type: 'accept', connection: late.id, answer: '1' })
  assert.equal(of(client, 'opened').length, 0)
  assert.ok(of(server, 'closed').some(({ connection }) => connection === late.id))
  open(world, client, 'a')
  world.leave(server)
  assertError(client.inbox.at(-1), 'UNAVAILABLE', /died before it accepted/)
  world.leave(client)
  world.checkEmpty()
})

test('a shared heap is one heap for all, each with a member of its own, and deaths are told to all', () => {
  const world = new World()
  const [server, one, two] = [world.join(), world.join(), world.join()]
  register(world, server, 'a', 8192)
  for (const client of [one, two]) {
    open(world, client, 'a')
    world.post(server, { type: 'accept', connection: server.undecided.pop()!.id, answer: '1' })
  }
  const heaps = [of(server, 'registered')[0]!.heaps[0]!, of(one, 'opened')[0]!.heaps[0]!, of(two, 'opened')[0]!.heaps[0]!]
  assert.equal(new Set(heaps.map(({ heap }) => heap)).size, 1)
  assert.deepEqual(heaps.map(({ member }) => member), [1, 2, 3])
  assert.deepEqual(of(server, 'incoming').map(({ shared }) => shared[0]?.member), [2, 3])
  world.ask(server, { type: 'growChannel', channel: 'a', byteLength: 4096 })
  assert.equal(of(two, 'heapAdded').length, 1)
  world.leave(one)
  assert.deepEqual(of(two, 'memberGone').map(({ member, gone }) => [member, gone]), [[3, 2], [3, 2]])
  assert.equal(of(server, 'memberGone').length, 2)
  // Who comes later was not told, and asks; about the living there is no answer, nor about who is still to come, and none for who has no part in it.
  const [three, stranger] = [world.join(), world.join()]
  open(world, three, 'a')
  world.post(server, { type: 'accept', connection: server.undecided.pop()!.id, answer: '1' })
  const { heap, member } = of(three, 'opened')[0]!.heaps[0]!
  for (const about of [2, 3, 1, member, member + 1, member + 2, member + 100]) world.post(three, { type: 'inquire', heap, member, about })
  assert.deepEqual(of(three, 'memberGone'), [{ type: 'memberGone', heap, member, gone: 2 }])
  world.post(stranger, { type: 'inquire', heap, member, about: 2 })
  world.post(three, { type: 'inquire', heap, member: 3, about: 2 })
  assert.deepEqual([of(stranger, 'memberGone').length, of(three, 'memberGone').length], [0, 1])
})

test('a published heap is told to each client beside a heap of its own, and its file is kept for those to come', () => {
  const world = new World()
  const [server, one, two] = [world.join(), world.join(), world.join()]
  register(world, server, 'a', 0, 8192)
  for (const client of [one, two]) {
    open(world, client, 'a')
    world.post(server, { type: 'accept', connection: server.undecided.pop()!.id, answer: '1' })
  }
  assert.equal(world.files.size, 1)
  const published = of(server, 'registered')[0]!.heaps[0]!
  for (const client of [one, two]) {
    const { heaps } = of(client, 'opened')[0]!
    assert.deepEqual(heaps.map(({ kind }) => kind), ['private', 'published'])
    assert.equal(heaps[1]?.address, published.address)
  }
  assert.deepEqual(of(server, 'incoming').map(({ heaps, shared }) => [heaps[0]?.kind, shared.map(({ heap }) => heap)]), [
    ['private', [published.heap]], ['private', [published.heap]],
  ])
  assertError(world.ask(server, { type: 'growChannel', channel: 'a', byteLength: 4096 }), 'FAILED_PRECONDITION', /shared heap/)
  for (const participant of [server, one, two]) world.leave(participant)
  world.checkEmpty()
})

test('a channel whose second heap cannot be made leaves nothing of the first', () => {
  for (const spared of [0, 1]) {
    const world = new World()
    const server = world.join()
    world.sparedCreations = spared
    world.failCreations = 1
    assertError(register(world, server, 'a', 4096, 4096), 'RESOURCE_EXHAUSTED', /no memory/)
    assert.deepEqual([world.table('heaps'), world.table('channels'), world.files.size], [[], [], 0])
    world.leave(server)
    world.checkEmpty()
  }
})

test('members are not used again before all others were', () => {
  const world = new World()
  const [server, client] = [world.join(), world.join()]
  register(world, server, 'a', 4096)
  const members = new Set<number>()
  for (let i = 0; i < MEMBER_MAX - 1; i++) {
    open(world, client, 'a')
    const end = server.undecided.pop()!
    world.post(server, { type: 'accept', connection: end.id, answer: '1' })
    const { heap, member } = of(client, 'opened').at(-1)!.heaps[0]!
    members.add(member)
    world.post(client, { type: 'release', heap, member })
    world.post(client, { type: 'close', connection: end.id, end: 'client' })
    world.post(server, { type: 'close', connection: end.id, end: 'server' })
  }
  assert.equal(members.size, MEMBER_MAX - 1)
  open(world, client, 'a')
  assert.equal(server.inbox.at(-1)?.type, 'incoming')
})

test('a freed address rests for a round through the window', () => {
  const world = new World()
  const [server, client] = [world.join(), world.join()]
  register(world, server, 'a')
  const seen = new Set<number>()
  for (let i = 0; i < 5000; i++) {
    open(world, client, 'a', FOUR_GIB)
    const { heaps, control, connection } = of(server, 'incoming').at(-1)!
    for (const { address } of [control, ...heaps]) {
      assert.ok(!seen.has(address), 'an address came again')
      seen.add(address)
    }
    world.post(server, { type: 'refuse', connection, code: 'PERMISSION_DENIED', message: 'no' })
    server.inbox.length = 0
    if (seen.size > 5100) break
  }
})

test('limits are answered, and leave nothing behind', () => {
  const world = new World()
  const [server, client] = [world.join(), world.join()]
  register(world, server, 'a')
  for (let i = 0; i < PENDING_PER_SERVER_MAX; i++) assert.equal(open(world, client, 'a'), undefined)
  assertError(open(world, client, 'a'), 'RESOURCE_EXHAUSTED', /wait for the server's decision/)
  world.leave(client)
  const other = world.join()
  world.failCreations = 1
  assertError(open(world, other, 'a'), 'RESOURCE_EXHAUSTED', /no memory/)
  world.checkInvariants()
  for (const participant of [server, other]) world.leave(participant)
  world.checkEmpty()
})

test('nobody changes what is somebody else\'s', () => {
  const { world, client, server, id } = connected()
  const stranger = world.join()
  const before = JSON.stringify([...world.store.list('connections')])
  world.post(stranger, { type: 'close', connection: id, end: 'client' })
  world.post(stranger, { type: 'accept', connection: id, answer: '1' })
  world.post(stranger, { type: 'refuse', connection: id, code: 'ABORTED', message: 'x' })
  for (const { heap, member } of [...client.memory, ...server.memory]) world.post(stranger, { type: 'release', heap, member })
  assert.equal(JSON.stringify([...world.store.list('connections')]), before)
  assert.equal(world.table('heaps').length, 2)
  assertError(world.ask(stranger, { type: 'unregister', channel: 'a' }), 'PERMISSION_DENIED', /only its server/)
  assertError(world.ask(stranger, { type: 'grow', connection: id, end: 'client', byteLength: 4096, kind: 'private' }), 'NOT_FOUND', /no connection/)
})
