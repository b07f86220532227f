// Heaps that a launcher prepares: who gets them, who cannot, and when they come back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Notice } from '../../src/control/protocol/messages.js'
import type { HeapRecord } from '../../src/control/orchestrator/state.js'
import type { Attachment, ConnectionId, MemoryDescription } from '../../src/control/protocol/types.js'
import { EXPECTED_MS } from '../../src/control/protocol/limits.js'
import { type ModelParticipant, World } from './model.js'

const PID = 4711
const USER = 65534
const BYTES = 65536

function answer<T extends Notice['type']>(notice: Notice | undefined, type: T): Extract<Notice, { type: T }> {
  assert.equal(notice?.type, type, notice?.type === 'error' ? notice.message : undefined)
  return notice as Extract<Notice, { type: T }>
}

function refused(notice: Notice | undefined, code: string, message: RegExp): void {
  const error = answer(notice, 'error')
  assert.equal(error.code, code)
  assert.match(error.message, message)
}

/** A launcher that has prepared so many heaps for one process. */
function launched(count: number, uid = USER): { world: World, launcher: ModelParticipant, heaps: MemoryDescription[] } {
  const world = new World()
  const launcher = world.join()
  const heaps = Array.from({ length: count }, () => answer(world.ask(launcher, { type: 'prepare', byteLength: BYTES }), 'prepared').memory)
  for (const { heap, member } of heaps) answer(world.ask(launcher, { type: 'assign', heap, member, pid: PID, uid }), 'done')
  return { world, launcher, heaps }
}

function serving(world: World, channel: string, uid = 1, sharedBytes = 0): ModelParticipant {
  const server = world.join({ uid })
  answer(world.ask(server, { type: 'register', channel, info: 'null', sharedBytes, publishedBytes: 0 }), 'registered')
  return server
}

function connectTo(world: World, client: ModelParticipant, server: ModelParticipant, channel: string): ConnectionId {
  world.ask(client, { type: 'open', channel, heapBytes: 8192, controlBytes: 4096, info: 'null', timeoutMs: 1000 })
  const { id } = server.undecided.pop()!
  world.post(server, { type: 'accept', connection: id, answer: 'null' })
  return id
}

/** A client of the launched process, connected. */
function client(world: World, server: ModelParticipant, channel: string): { program: ModelParticipant, id: ConnectionId } {
  const program = world.join({ pid: PID, uid: USER, standing: 'program' })
  return { program, id: connectTo(world, program, server, channel) }
}

const holders = (world: World, { heap }: Attachment): number => world.table<HeapRecord>('heaps').find(({ id }) => id === heap)?.holders.length ?? 0

test('a connection of the launched process gets a heap that no other has; its server gets the file, the process none', () => {
  const { world, heaps } = launched(2)
  const server = serving(world, 'a')
  const { program, id } = client(world, server, 'a')
  const first = answer(world.ask(program, { type: 'growPrepared', connection: id }), 'grown').memory
  const second = answer(world.ask(program, { type: 'growPrepared', connection: id }), 'grown').memory
  assert.deepEqual(new Set([first.address, second.address]), new Set(heaps.map(({ address }) => address)))
  assert.equal(first.kind, 'prepared')
  const added = server.inbox.filter((notice) => notice.type === 'heapAdded')
  assert.deepEqual(added.map(({ memory }) => memory.address), [first.address, second.address])
  refused(world.ask(program, { type: 'growPrepared', connection: id }), 'RESOURCE_EXHAUSTED', /all 2 heaps.*--heaps/)
  world.checkInvariants()
})

test('a heap serves one connection after the other, of one user\'s servers', () => {
  const { world, heaps } = launched(1)
  const [ours, theirs] = [serving(world, 'ours', 1), serving(world, 'theirs', 2)]
  const { program, id } = client(world, ours, 'ours')
  const grown = answer(world.ask(program, { type: 'growPrepared', connection: id }), 'grown').memory
  world.post(program, { type: 'release', heap: grown.heap, member: grown.member })
  world.post(program, { type: 'close', connection: id, end: 'client' })
  // Its server still has the file: another user's server would share what the program writes with it.
  const other = connectTo(world, program, theirs, 'theirs')
  refused(world.ask(program, { type: 'growPrepared', connection: other }), 'RESOURCE_EXHAUSTED', /served servers of another user/)
  const again = connectTo(world, program, ours, 'ours')
  assert.equal(answer(world.ask(program, { type: 'growPrepared', connection: again }), 'grown').memory.address, heaps[0]!.address)
  world.checkInvariants()
})

test('nobody else gets it: not another process, nor the server\'s end, nor over somebody\'s connection', () => {
  const { world, launcher, heaps } = launched(1)
  const server = serving(world, 'a')
  const stranger = world.join({ pid: PID + 1, uid: USER, standing: 'user' })
  const own = connectTo(world, stranger, server, 'a')
  refused(world.ask(stranger, { type: 'growPrepared', connection: own }), 'FAILED_PRECONDITION', new RegExp(`no launcher prepared a heap for process ${PID + 1}`))
  const { program, id } = client(world, server, 'a')
  refused(world.ask(stranger, { type: 'growPrepared', connection: id }), 'NOT_FOUND', /no connection/)
  refused(world.ask(server, { type: 'growPrepared', connection: id }), 'NOT_FOUND', /no connection/)
  // Nor can the program, or a stranger, say for whom a heap was prepared.
  for (const one of [stranger, program]) {
    refused(world.ask(one, { type: 'prepare', byteLength: BYTES }), 'PERMISSION_DENIED', /only a process of the daemon's own user/)
    refused(world.ask(one, { type: 'assign', ...at(heaps[0]!), pid: PID + 1, uid: USER }), 'NOT_FOUND', /was not prepared by this process/)
    world.post(one, { type: 'release', ...at(heaps[0]!) })
  }
  // Nor another launcher.
  const second = world.join()
  const theirs = answer(world.ask(second, { type: 'prepare', byteLength: BYTES }), 'prepared').memory
  refused(world.ask(second, { type: 'assign', ...at(theirs), pid: PID, uid: USER }), 'PERMISSION_DENIED', /launched by another process/)
  refused(world.ask(launcher, { type: 'assign', ...at(heaps[0]!), pid: PID + 2, uid: USER }), 'ABORTED', /belongs to a program already/)
  assert.equal(answer(world.ask(program, { type: 'growPrepared', connection: id }), 'grown').memory.address, heaps[0]!.address)
  world.checkInvariants()
})

test('the launcher\'s end ends them for connections to come; those that have one keep it, and then it goes', () => {
  const { world, launcher, heaps } = launched(2)
  const server = serving(world, 'a')
  const { program, id } = client(world, server, 'a')
  const used = answer(world.ask(program, { type: 'growPrepared', connection: id }), 'grown').memory
  assert.equal(world.orchestrator.isLaunched(PID, USER), true)
  assert.equal(world.orchestrator.isLaunched(PID, USER + 1), false)
  world.leave(launcher)
  assert.equal(world.orchestrator.isLaunched(PID, USER), false)
  assert.deepEqual(heaps.map((heap) => holders(world, heap)).toSorted((a, b) => a - b), [0, 2])
  assert.equal(holders(world, used), 2)
  refused(world.ask(program, { type: 'growPrepared', connection: id }), 'FAILED_PRECONDITION', /no launcher prepared/)
  world.leave(program)
  world.leave(server)
  assert.deepEqual(world.table<HeapRecord>('heaps'), [])
  assert.equal(world.files.size, 0)
  world.checkInvariants()
})

test('a file that cannot be made is told to the launcher, and leaves nothing', () => {
  const world = new World()
  const launcher = world.join()
  world.failCreations = 1
  refused(world.ask(launcher, { type: 'prepare', byteLength: BYTES }), 'RESOURCE_EXHAUSTED', /no memory/)
  assert.deepEqual(world.table<HeapRecord>('heaps'), [])
  world.checkInvariants()
})

test('after a restart of the daemon the launcher claims them, once, and connections get them again', () => {
  const { world, launcher, heaps } = launched(1)
  const claim = claimOf(heaps[0]!)
  world.restart(1_000_000, 5)
  assert.equal(world.orchestrator.isLaunched(PID, USER), false)
  answer(world.ask(launcher, claim), 'done')
  refused(world.ask(launcher, claim), 'ABORTED', /nobody is expected to claim.*claimed already/)
  assert.equal(world.orchestrator.isLaunched(PID, USER), true)
  const server = serving(world, 'a')
  const { program, id } = client(world, server, 'a')
  refused(world.ask(program, claim), 'PERMISSION_DENIED', /only a process of the daemon's own user/)
  assert.equal(answer(world.ask(program, { type: 'growPrepared', connection: id }), 'grown').memory.address, heaps[0]!.address)
  world.checkInvariants()
})

test('after a restart of the daemon a heap that a user\'s servers have read goes to no server of another user', () => {
  const { world, launcher, heaps } = launched(2)
  const ours = serving(world, 'ours', 1)
  const { program, id } = client(world, ours, 'ours')
  const grown = answer(world.ask(program, { type: 'growPrepared', connection: id }), 'grown').memory
  // Its launcher hears before the server gets the file, and once.
  const told = launcher.inbox.filter((notice) => notice.type === 'preparedRead')
  const own = heaps.find(({ heap }) => heap === grown.heap)!
  assert.deepEqual(told, [{ type: 'preparedRead', ...at(own), reader: 1 }])
  for (const one of [ours, program]) world.leave(one)
  world.restart(1_000_000, 5)
  answer(world.ask(launcher, claimOf(own, told.map(({ reader }) => reader))), 'done')
  const theirs = serving(world, 'theirs', 2)
  const again = client(world, theirs, 'theirs')
  refused(world.ask(again.program, { type: 'growPrepared', connection: again.id }), 'RESOURCE_EXHAUSTED', /served servers of another user/)
  serving(world, 'ours', 1)
  const third = connectTo(world, again.program, world.participants.at(-1)!, 'ours')
  assert.equal(answer(world.ask(again.program, { type: 'growPrepared', connection: third }), 'grown').memory.address, own.address)
  assert.equal(launcher.inbox.filter((notice) => notice.type === 'preparedRead').length, 1)
  world.checkInvariants()
})

test('after a restart of the daemon a program\'s connection keeps its heap', () => {
  const { world, launcher, heaps } = launched(2)
  const server = serving(world, 'a')
  const { program, id } = client(world, server, 'a')
  const used = answer(world.ask(program, { type: 'growPrepared', connection: id }), 'grown').memory
  world.restart(1_000_000, 5)
  for (const heap of heaps) answer(world.ask(launcher, claimOf(heap, heap.heap === used.heap ? [1] : [])), 'done')
  answer(world.ask(server, { type: 'register', channel: 'a', info: 'null', sharedBytes: 0, publishedBytes: 0 }), 'registered')
  const other = connectTo(world, program, server, 'a')
  assert.notEqual(answer(world.ask(program, { type: 'growPrepared', connection: other }), 'grown').memory.address, used.address)
  refused(world.ask(program, { type: 'growPrepared', connection: other }), 'RESOURCE_EXHAUSTED', /all 2 heaps/)
  answer(world.claim(program, used), 'done')
  world.now += EXPECTED_MS
  world.handle({ type: 'tick' })
  refused(world.ask(program, { type: 'growPrepared', connection: other }), 'RESOURCE_EXHAUSTED', /all 2 heaps/)
  world.checkInvariants()
})

test('a launched program of another user connects, serves nothing, claims nothing of others, and shares no heap', () => {
  const { world, heaps } = launched(1)
  const server = serving(world, 'a')
  serving(world, 'shared', 1, 8192)
  const { program } = client(world, server, 'a')
  refused(world.ask(program, { type: 'register', channel: 'b', info: 'null', sharedBytes: 0, publishedBytes: 0 }), 'PERMISSION_DENIED', /serves none/)
  refused(world.claim(program, heaps[0]!), 'ABORTED', /nobody is expected to claim/)
  refused(world.ask(program, { type: 'open', channel: 'shared', heapBytes: 8192, controlBytes: 4096, info: 'null', timeoutMs: 1000 }), 'PERMISSION_DENIED', /share one heap/)
  world.checkInvariants()
})

function claimOf({ heap, member, byteLength, proof }: MemoryDescription, readers: readonly number[] = []) {
  return { type: 'claimPrepared', heap, member, byteLength, proof, pid: PID, uid: USER, readers } as const
}

function at({ heap, member }: Attachment): Attachment {
  return { heap, member }
}
