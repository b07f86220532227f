// Packets that carry descriptors: all arrive, none is left behind, whatever the peer does.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, readSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { addon } from '../../src/sys/addon.js'
import { Acceptor, acceptUnix, connectUnix, listenUnix, MESSAGE_BYTES_MAX, peerCredentials, peerPidfd, receivePacket, sendPacket } from '../../src/sys/index.js'
import { LeakCheck } from './peer.js'

let names = 0

/** Two connected ends of a Unix socket in this process. */
class Pair implements Disposable {
  readonly #listener: number
  readonly left: number
  readonly right: number

  constructor(kind: 'packets' | 'stream') {
    const path = `@rpcool-test-${process.pid}-${names++}`
    this.#listener = listenUnix(path, kind, 4)
    assert.equal(acceptUnix(this.#listener), undefined)
    this.left = connectUnix(path, kind)
    this.right = acceptUnix(this.#listener) ?? -1
    assert.ok(this.right >= 0)
  }

  [Symbol.dispose](): void {
    for (const fd of [this.#listener, this.left, this.right]) closeSync(fd)
  }
}

function withFiles<T>(count: number, use: (fds: readonly number[]) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-fds'))
  const fds = Array.from({ length: count }, (_, i) => {
    const path = join(folder, String(i))
    writeFileSync(path, `file ${i}`)
    return openSync(path, 'r')
  })
  try {
    return use(fds)
  } finally {
    for (const fd of fds) closeSync(fd)
    rmSync(folder, { recursive: true })
  }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

test('a packet arrives whole, with its descriptors, close-on-exec and in order', () => {
  using _leaks = new LeakCheck()
  using pair = new Pair('packets')
  assert.equal(receivePacket(pair.right), undefined)
  withFiles(3, (fds) => {
    assert.ok(sendPacket(pair.left, Uint8Array.of(1, 2, 3), fds))
    assert.ok(sendPacket(pair.left, new Uint8Array(MESSAGE_BYTES_MAX).fill(9), []))
    const packet = receivePacket(pair.right)!
    assert.deepEqual([...packet.bytes], [1, 2, 3])
    assert.equal(packet.fds.length, 3)
    for (const [i, fd] of packet.fds.entries()) {
      const buffer = Buffer.alloc(20)
      assert.equal(buffer.toString('latin1', 0, readSync(fd, buffer, 0, 20, 0)), `file ${i}`)
      closeSync(fd)
    }
    const long = receivePacket(pair.right)!
    assert.equal(long.bytes.length, MESSAGE_BYTES_MAX)
    assert.ok(long.bytes.every((byte) => byte === 9))
  })
})

/** From Linux 6.16 on the kernel refuses descriptors for a socket that wants none. */
const refuses = ((): boolean => {
  const [major, minor] = release().split('.').map(Number) as [number, number]
  return major > 6 || (major === 6 && minor >= 16)
})()

test('a stream takes no descriptors, not even into its queue, neither where it was accepted nor where it connected', { skip: refuses ? false : 'this kernel cannot refuse them' }, () => {
  using stream = new Pair('stream')
  using packets = new Pair('packets')
  for (const fd of [stream.left, stream.right]) {
    assert.throws(() => sendPacket(fd, Uint8Array.of(1), [packets.left]), { code: 'EPERM' })
    assert.ok(sendPacket(fd, Uint8Array.of(1), []))
  }
  assert.ok(sendPacket(packets.left, Uint8Array.of(1), [stream.left]))
})

test('a packet beyond the limit throws, and its descriptors are closed', () => {
  using _leaks = new LeakCheck()
  using pair = new Pair('packets')
  withFiles(4, (fds) => {
    assert.ok(sendPacket(pair.left, new Uint8Array(MESSAGE_BYTES_MAX + 1), fds))
    const before = descriptors()
    assert.throws(() => receivePacket(pair.right), { code: 'EMSGSIZE', syscall: 'recvmsg' })
    assert.equal(descriptors(), before)
  })
})

test('more descriptors than a message may carry are refused by the sender', () => {
  using _leaks = new LeakCheck()
  using pair = new Pair('packets')
  withFiles(1, ([fd]) => {
    assert.throws(() => sendPacket(pair.left, Uint8Array.of(1), Array.from({ length: 17 }, () => fd!)), { code: 'ETOOMANYREFS' })
    assert.throws(() => sendPacket(pair.left, Uint8Array.of(1), [99_999]), { code: 'EBADF' })
    assert.equal(receivePacket(pair.right), undefined)
  })
})

test('descriptors in packets that nobody reads go with the socket', () => {
  using _leaks = new LeakCheck()
  withFiles(2, (fds) => {
    using pair = new Pair('packets')
    for (let i = 0; i < 20; i++) assert.ok(sendPacket(pair.left, Uint8Array.of(i), fds))
  })
})

test('closing takes what is there, and no more: a stream ends once, and packets end where one is not empty of a sender', () => {
  using _leaks = new LeakCheck()
  using stream = new Pair('stream')
  assert.equal(addon.shutdownSocket(stream.left), 0)
  using ringing = new Pair('stream')
  for (let i = 0; i < 100; i++) addon.ringDoorbell(ringing.left)
  assert.equal(addon.shutdownSocket(ringing.right), 2, 'a hundred bytes in pieces of 64')
  using packets = new Pair('packets')
  for (let i = 0; i < 3; i++) assert.ok(sendPacket(packets.left, Uint8Array.of(i), []))
  assert.equal(addon.shutdownSocket(packets.right), 3)
  assert.equal(addon.shutdownSocket(packets.left), 0)
})

test('a full buffer is an answer, and the end of the peer is one too', () => {
  using _leaks = new LeakCheck()
  using pair = new Pair('packets')
  let sent = 0
  while (sendPacket(pair.left, new Uint8Array(1000), [])) sent++
  assert.ok(sent > 10)
  for (let i = 0; i < sent; i++) assert.equal(receivePacket(pair.right)?.bytes.length, 1000)
  addon.shutdownSocket(pair.left)
  assert.equal(receivePacket(pair.right)?.bytes.length, 0)
  assert.throws(() => sendPacket(pair.right, Uint8Array.of(1), []), { code: 'EPIPE' })
})

test('who knocks a thousand times at once is let in by turns, between which others are served', async () => {
  using _leaks = new LeakCheck()
  const path = `@rpcool-test-${process.pid}-${names++}`
  let turns = 0
  let inTurn = 0
  let most = 0
  const fds: number[] = []
  const acceptor = new Acceptor(listenUnix(path, 'stream', 512), (fd) => {
    fds.push(fd)
    most = Math.max(most, ++inTurn)
  })
  const knocking = Array.from({ length: 300 }, () => connectUnix(path, 'stream'))
  while (fds.length < knocking.length) {
    await new Promise(setImmediate)
    if (inTurn > 0) turns++
    inTurn = 0
  }
  assert.ok(turns > 4 && most <= 64, `${turns} turns, ${most} at most`)
  acceptor.close()
  acceptor.close()
  acceptor.acceptWaiting()
  for (const fd of [...fds, ...knocking]) closeSync(fd)
})

test('after a refusal of the kernel nobody is let in for a moment, and then it is tried again', async () => {
  using _leaks = new LeakCheck()
  const path = `@rpcool-test-${process.pid}-${names++}`
  const listener = listenUnix(path, 'stream', 4)
  const knocking = connectUnix(path, 'stream')
  const refusals: number[] = []
  // A connected socket cannot accept, but a byte wakes it.
  const acceptor = new Acceptor(acceptUnix(listener) ?? -1, () => assert.fail('nobody knocks'), (error) => {
    assert.match(String(error), /EINVAL/)
    refusals.push(performance.now())
  })
  addon.ringDoorbell(knocking)
  while (refusals.length < 3) await new Promise((resolve) => setTimeout(resolve, 1))
  assert.ok(refusals[2]! - refusals[0]! > 90, `${refusals.join(' ')}: no pause`)
  acceptor.close()
  for (const fd of [listener, knocking]) closeSync(fd)
})

test('the kernel says who the peer is', () => {
  using _leaks = new LeakCheck()
  using pair = new Pair('packets')
  assert.deepEqual(peerCredentials(pair.right), { pid: process.pid, uid: process.getuid!(), gid: process.getgid!() })
  const pidfd = peerPidfd(pair.right)
  if (pidfd !== undefined) {
    assert.equal(addon.pollReadable(pidfd, 0), false)
    closeSync(pidfd)
  }
})

test('a process whose death could not be seen, for want of a descriptor, is not let in as if it could', () => {
  const program = `
    import { openSync } from 'node:fs'
    const { acceptUnix, connectUnix, listenUnix, peerPidfd } = await import(${JSON.stringify(new URL('../../src/sys/index.js', import.meta.url).href)})
    const path = '@rpcool-test-' + process.pid
    const listener = listenUnix(path, 'packets', 1)
    connectUnix(path, 'packets')
    const fd = acceptUnix(listener)
    try { for (;;) openSync('/dev/null') } catch {}
    try { console.log(peerPidfd(fd)) } catch (error) { console.log(error.code) }`
  const { stdout } = spawnSync('sh', ['-c', 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, program], { encoding: 'utf8' })
  const [major, minor] = release().split('.').map(Number) as [number, number]
  assert.equal(stdout.trim(), major > 6 || (major === 6 && minor >= 5) ? 'EMFILE' : 'undefined')
})

test('a doorbell never blocks: unread bytes are enough to wake the peer', () => {
  using _leaks = new LeakCheck()
  using pair = new Pair('stream')
  assert.equal(addon.drainDoorbell(pair.right), -1)
  assert.equal(addon.ringDoorbell(pair.left), 0)
  assert.ok(addon.pollReadable(pair.right, 1000))
  assert.equal(addon.drainDoorbell(pair.right), 1)
  let answer = 0
  for (let i = 0; i < 10_000_000 && answer === 0; i++) answer = addon.ringDoorbell(pair.left)
  assert.equal(answer, 11, 'EAGAIN')
  while (addon.drainDoorbell(pair.right) > 0);
  assert.equal(addon.ringDoorbell(pair.left), 0)
  addon.shutdownSocket(pair.left)
  addon.drainDoorbell(pair.right)
  assert.equal(addon.drainDoorbell(pair.right), 0)
})

test('errors name the call and its argument', () => {
  using _leaks = new LeakCheck()
  assert.throws(() => connectUnix('@rpcool-nobody-listens', 'packets'), { code: 'ECONNREFUSED', errno: 111, syscall: 'connect', argument: '@rpcool-nobody-listens' })
  assert.throws(() => listenUnix('/nonexistent/socket', 'packets', 1), { code: 'ENOENT', syscall: 'bind', argument: '/nonexistent/socket' })
  assert.throws(() => listenUnix(`/tmp/${'x'.repeat(200)}`, 'packets', 1), { code: 'ENAMETOOLONG' })
  assert.throws(() => receivePacket(99_999), { code: 'EBADF', syscall: 'recvmsg', argument: 'fd 99999' })
  assert.throws(() => addon.connectUnix('a\0b', true), TypeError)
})
