// What a daemon gave out is written down beyond its death: what is in the book can be claimed, and nothing else.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectUnix } from '../../src/sys/index.js'
import type { Address } from '../../src/base/numbers.js'
import { closeAll, Session } from '../../src/control/client/session.js'
import { AttachmentBook } from '../../src/control/daemon/book.js'
import { Daemon } from '../../src/control/daemon/daemon.js'
import { openDaemonKey } from '../../src/control/daemon/key.js'
import type { BookEntry } from '../../src/control/orchestrator/state.js'
import { readOwnFile } from '../../src/control/place/own-file.js'
import { daemonBook, daemonKey, daemonSocket } from '../../src/control/place/runtime-directory.js'
import { EXPECTED_MS } from '../../src/control/protocol/limits.js'
import type { Notices } from '../../src/control/protocol/messages.js'
import type { ConnectionId, HeapId, MemoryDescription } from '../../src/control/protocol/types.js'
import { errorOf } from '../support/ground.js'
import { isAlive, Workspace } from './support.js'

process.env['RPCOOL_DAEMON_IDLE_MS'] = '150'
const PAGE = 4096
const RECORD = 64

/** One that speaks to the daemon by hand, as the client of a connection. */
async function byHand(space: Workspace): Promise<{ session: Session } & Disposable> {
  const { session } = await Session.start(connectUnix(daemonSocket(space.directory), 'packets'), { news: () => undefined, ended: () => undefined }, 5000)
  return { session, [Symbol.dispose]: () => session.close() }
}

async function open(session: Session): Promise<Notices['opened']> {
  return session.request({ type: 'open', channel: 'a', heapBytes: 16 * PAGE, controlBytes: PAGE, info: 'null', timeoutMs: 5000 }, 5000, (answer, fds) => {
    closeAll(fds)
    return answer as Notices['opened']
  })
}

test('a former holder that claims first, when the daemon was killed, gets nothing; who holds something loses nothing', async (t) => {
  await using space = new Workspace(t)
  const observer = space.client()
  const [server, client] = [await space.child(), await space.child()]
  await server.do('register', 'a')
  const address = await client.do('open', 'a')
  using former = await byHand(space)
  const had = await open(former.session)
  const proofs = [had.control, ...had.heaps]
  for (const { heap, member } of proofs) former.session.post({ type: 'release', heap, member })
  former.session.post({ type: 'close', connection: had.connection, end: 'client' })
  // A second one, which it holds when the daemon dies.
  const held = await open(former.session)
  for (const { pid } of [server, client]) process.kill(pid, 'SIGSTOP')
  const old = await space.daemonPid(observer)
  process.kill(old, 'SIGKILL')
  await space.until('the daemon to die', () => !isAlive(old))
  await space.daemonPid(space.client())
  using first = await byHand(space)
  const claim = ({ heap, member, proof }: Pick<MemoryDescription, 'heap' | 'member' | 'proof'>): Promise<void> => first.session.request({ type: 'claimHeap', heap, member, highestMember: 1, proof }, 5000, () => undefined)
  for (const one of proofs) assert.match((await errorOf(claim(one))).message, /ABORTED.*nobody is expected to claim/)
  // What it did hold is its own still, and no other.
  for (const one of [held.control, ...held.heaps]) await claim(one)
  const [control, ...heaps] = [held.control, ...held.heaps].map(({ heap, member }) => ({ heap, member }))
  await first.session.request({ type: 'claimConnection', connection: held.connection, end: 'client', channel: 'a', token: held.token, control: control!, heaps }, 5000, () => undefined)
  assert.match((await errorOf(claim({ ...proofs[0]!, heap: held.control.heap, member: held.control.member }))).message, /ABORTED.*claimed already/)
  for (const { pid } of [server, client]) process.kill(pid, 'SIGCONT')
  space.waitsFor = 'the server to be known to the new daemon'
  let next: unknown
  while (next === undefined) next = await client.do('open', 'a').catch(() => undefined)
  assert.notEqual(next, address)
  first.session.close()
  await client.kill()
  // Of the claimed connection too, which the new daemon therefore knows.
  await space.until('the server to hear of the client\'s death', () => server.events.filter((event) => event === 'server peerDied').length >= 3)
  assert.deepEqual(client.events.filter((event) => event.includes('peerDied')), [])
})

test('a book is read by the next daemon without what was given back, and what is damaged in it is left out', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-book-'))
  const path = daemonBook(folder)
  const entry = (heap: number, changes: Partial<BookEntry> = {}): BookEntry => ({
    heap: heap as HeapId, member: 1, kind: 'private', role: 'server', via: { id: 5 as ConnectionId, end: 'server' }, uid: 7,
    address: 0x4001_0000_0000 + heap * 0x20_0000 as Address, byteLength: PAGE, ...changes,
  })
  const logged: string[] = []
  const open = (): AttachmentBook => new AttachmentBook(path, (line) => logged.push(line))
  const found = (): number[] => {
    const book = open()
    book.close()
    return book.found.map(({ heap }) => heap)
  }
  try {
    const book = open()
    assert.deepEqual(book.found, [])
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const all = [entry(1), entry(2, { kind: 'shared', role: 'own', via: undefined, member: 1023 }), entry(3), entry(3, { member: 2, role: 'client', via: { id: 5 as ConnectionId, end: 'client' } })]
    for (const one of all) book.enter(one)
    book.strike({ heap: 1 as HeapId, member: 1 })
    book.strike({ heap: 1 as HeapId, member: 1 })
    book.enter(entry(4))
    for (const number of [2 ** 40, 9]) book.enterName({ number, uid: 7 })
    book.strikeName(9)
    book.enterName({ number: 2 ** 40, uid: 8 })
    book.close()
    for (const one of all) book.strike(one)
    book.strikeName(2 ** 40)
    assert.equal(logged.length, 0, 'what is struck after the end changes nothing')
    assert.equal(statSync(path).size, 7 * RECORD, 'a record that became free is used again')
    const second = open()
    assert.deepEqual(new Set(second.found), new Set([...all.slice(1), entry(4)]))
    assert.deepEqual(second.foundNames, [{ number: 2 ** 40, uid: 8 }])
    for (const one of all.slice(1)) second.strike(one)
    second.strikeName(2 ** 40)
    second.close()
    assert.deepEqual(found(), [4])
    assert.equal(statSync(path).size, 2 * RECORD, 'gaps go')
    const whole = readFileSync(path)
    // Each number of the record in turn becomes what no daemon writes.
    for (let number = 0; number < 8; number++) {
      for (const value of [Number.NaN, -1, 0.5, 2 ** 60, ...(number === 5 ? [] : [2 ** 52])]) {
        const damaged = Buffer.from(whole)
        damaged.writeDoubleLE(value, RECORD + number * 8)
        writeFileSync(path, damaged)
        if ([0, 4].includes(number) && value === 2 ** 52) continue
        assert.deepEqual(found(), [], `number ${number} is ${value}`)
      }
    }
    for (const spoil of [Buffer.alloc(0), whole.subarray(0, 70), whole.fill(1, 0, 8), Buffer.alloc(1 << 16, 0xff)]) {
      writeFileSync(path, spoil)
      assert.deepEqual(found(), [])
    }
    assert.equal(logged.join(), '')
    // One that cannot be kept is not there: rather that than one which says what is true no more.
    const last = new AttachmentBook(join(folder, 'nowhere', 'book'), (line) => logged.push(line))
    last.enter(entry(1))
    last.strike(entry(1))
    last.close()
    assert.match(logged.join('\n'), /^cannot keep the book.*$/)
    assert.equal(existsSync(join(folder, 'nowhere')), false)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('daemons that nobody needs, one after the other, keep a dead user\'s name no longer than one that stays', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-book-'))
  const path = daemonBook(folder)
  const open = (): AttachmentBook => new AttachmentBook(path, (line) => assert.fail(line))
  const daemon = (idleMs: number): Promise<void> => new Promise((resolve) => {
    assert.ok(Daemon.start({ directory: folder, idleMs, debug: false, onEnd: resolve }))
  })
  try {
    const killed = open()
    killed.enterName({ number: 7, uid: 8 })
    killed.close()
    await daemon(20)
    const second = open()
    assert.ok(second.expectedMs < EXPECTED_MS - 15, `${second.expectedMs} ms are left`)
    assert.deepEqual(second.foundNames, [{ number: 7, uid: 8 }])
    second.close()
    // That one was killed: what it gave out has the whole time.
    const third = open()
    assert.equal(third.expectedMs, EXPECTED_MS)
    third.closeUnused()
    const whole = readFileSync(path)
    whole.writeDoubleLE(Date.now() - 1, 16)
    writeFileSync(path, whole)
    await daemon(200)
    assert.deepEqual(open().foundNames, [], 'its time has passed')
    for (const value of [Number.NaN, Infinity, -1, 2 ** 60]) {
      whole.writeDoubleLE(value, 16)
      writeFileSync(path, whole)
      assert.equal(open().expectedMs, EXPECTED_MS)
    }
    // What cannot be removed is no reason to end.
    rmSync(path)
    mkdirSync(path)
    const logged: string[] = []
    new AttachmentBook(path, (line) => logged.push(line)).enterName({ number: 7, uid: 8 })
    assert.match(logged.join('\n'), /^cannot keep the book.*\nthe book cannot be removed.*$/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a key or a book that somebody else could have put there is not read: a pipe, a link, a file that others can write', async (t) => {
  await using space = new Workspace(t)
  const plant: Readonly<Record<string, (path: string, elsewhere: string) => void>> = {
    pipe: (path) => assert.equal(spawnSync('mkfifo', ['-m', '600', path]).status, 0),
    link: (path, elsewhere) => symlinkSync(elsewhere, path),
    open: (path, elsewhere) => {
      writeFileSync(path, readFileSync(elsewhere))
      chmodSync(path, 0o666)
    },
  }
  const own = join(space.directory, 'elsewhere')
  writeFileSync(own, Buffer.alloc(32, 7), { mode: 0o600 })
  assert.deepEqual(readOwnFile(own), Buffer.alloc(32, 7))
  for (const [name, put] of Object.entries(plant)) {
    for (const path of [daemonKey(space.directory), daemonBook(space.directory)]) {
      rmSync(path, { force: true })
      put(path, own)
      assert.equal(readOwnFile(path), undefined, name)
    }
    const key = openDaemonKey(space.directory)
    assert.ok(key.length === 32 && !key.equals(Buffer.alloc(32, 7)), `a key of its own in place of the ${name}`)
    assert.deepEqual(openDaemonKey(space.directory), key)
  }
  assert.deepEqual(readFileSync(own), Buffer.alloc(32, 7))
})
