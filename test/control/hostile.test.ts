// A process that speaks to the daemon by hand and means no good: it is dropped, others do not notice.
import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { addon, connectUnix, createMemoryFile, receivePacket, sendPacket } from '../../src/sys/index.js'
import type { DaemonClient } from '../../src/control/index.js'
import { PROTOCOL_VERSION } from '../../src/control/protocol/limits.js'
import { assertRejects, closeGrants, isAlive, openFiles, Workspace } from './support.js'

process.env['RPCOOL_DAEMON_IDLE_MS'] = '150'
const CLAIM = {
  type: 'claimHeap', id: 1, heap: 5, member: 1, highestMember: 1, proof: '0'.repeat(32),
}
const HELLO = { type: 'hello', version: PROTOCOL_VERSION }

/** A socket to the daemon, used by hand. */
class Attacker {
  readonly fd: number

  constructor(space: Workspace) {
    this.fd = connectUnix(join(space.directory, 'daemon.sock'), 'packets')
  }

  /** False when the daemon's buffer is full, undefined when the daemon has closed. */
  send(message: unknown, fds: readonly number[] = []): boolean | undefined {
    const bytes = message instanceof Uint8Array ? message : Buffer.from(typeof message === 'string' ? message : JSON.stringify(message))
    try {
      return sendPacket(this.fd, bytes, fds)
    } catch {
      return undefined
    }
  }

  /** What comes next: a message, or undefined at the end of the stream. */
  async receive(): Promise<{ type: string, code?: string, message?: string } | undefined> {
    for (;;) {
      try {
        const packet = receivePacket(this.fd)
        if (packet?.bytes.length === 0) return undefined
        if (packet !== undefined) {
          for (const fd of packet.fds) addon.closeFd(fd)
          return JSON.parse(Buffer.from(packet.bytes).toString()) as { type: string }
        }
      } catch {
        // The reset of a connection is told before what was sent last.
      }
      await sleep(1)
    }
  }

  async dropped(): Promise<string> {
    let said = ''
    for (let packet = await this.receive(); packet !== undefined; packet = await this.receive()) said = `${packet.code}: ${packet.message}`
    return said
  }

  close(): void {
    addon.closeFd(this.fd)
  }
}

/** Legitimate participants work, before and after. */
async function works(server: DaemonClient, client: DaemonClient): Promise<void> {
  await server.registerChannel('good', {}, { incoming: () => ({ events: {} }) })
  const { control, heap } = await client.openConnection('good', { heapBytes: 4096, controlBytes: 4096 }, {})
  closeGrants(control, heap)
  await server.unregisterChannel('good')
}

async function attacked(space: Workspace, attack: (client: DaemonClient) => Promise<void>): Promise<void> {
  const [server, client] = [space.client(), space.client()]
  const pid = await space.daemonPid(server)
  await works(server, client)
  const before = openFiles(pid).length
  await attack(client)
  await works(server, client)
  await space.until('the daemon to close what the attacker cost', () => openFiles(pid).length === before)
  assert.ok(isAlive(pid))
}

test('garbage is answered with why, and its sender dropped', async (t) => {
  await using space = new Workspace(t)
  await attacked(space, async () => {
    const register = { type: 'register', id: 1, channel: 'a', info: '', sharedBytes: 0, publishedBytes: 0 }
    const packets: unknown[] = [
      'not json', '[]', 'null', new Uint8Array([0xff]), '['.repeat(100_000), { type: 'nothing' }, { type: '__proto__' }, { ...register, more: 1 },
      { ...register, id: -1 }, { ...register, channel: 5 }, { ...register, info: 'x'.repeat(9000) }, { type: 'ping' }, HELLO,
      { type: 'open', id: 1, channel: 'a', heapBytes: 1, controlBytes: 1, info: '', timeoutMs: 0 },
      { ...CLAIM, address: 0x1000 },
    ]
    for (const packet of packets) {
      const attacker = new Attacker(space)
      attacker.send(HELLO)
      attacker.send(packet)
      assert.match(await attacker.dropped(), /^INVALID_ARGUMENT: protocol error/, String(packet))
      attacker.close()
    }
    for (const packet of ['garbage', { type: 'ping', id: 1 }, { type: 'hello', version: 'x' }, {}]) {
      const attacker = new Attacker(space)
      attacker.send(packet)
      assert.match(await attacker.dropped(), /^INVALID_ARGUMENT: protocol error/)
      attacker.close()
    }
  })
})

test('another version is told both versions and what to do', async (t) => {
  await using space = new Workspace(t)
  await attacked(space, async () => {
    const attacker = new Attacker(space)
    attacker.send({ type: 'hello', version: PROTOCOL_VERSION + 1, something: 'new' })
    assert.match(await attacker.dropped(), new RegExp(`^FAILED_PRECONDITION: .*speaks protocol ${PROTOCOL_VERSION} and this process protocol ${PROTOCOL_VERSION + 1}.*RPCOOL_RUNTIME_DIR`))
    attacker.close()
  })
})

test('packets beyond the limit, empty ones, and descriptors that nobody asked for', async (t) => {
  await using space = new Workspace(t)
  await attacked(space, async () => {
    const files = Array.from({ length: 16 }, () => openSync('/dev/null', 'r'))
    const attacker = new Attacker(space)
    attacker.send(HELLO, files)
    for (let i = 0; i < 100; i++) attacker.send({ type: 'ping', id: i + 1 }, files)
    for (let i = 0; i < 101; i++) assert.ok(['welcome', 'done'].includes((await attacker.receive())?.type ?? ''))
    attacker.send(new Uint8Array(150 * 1024).fill(32))
    assert.match(await attacker.dropped(), /too long/)
    attacker.close()
    const silent = new Attacker(space)
    silent.send(HELLO)
    silent.send(new Uint8Array(0))
    await silent.dropped()
    silent.close()
    for (const file of files) closeSync(file)
  })
})

test('a claim with a file that is not what it says is refused', async (t) => {
  await using space = new Workspace(t)
  await attacked(space, async () => {
    const unfit = [openSync('/dev/null', 'r'), addon.memfdCreate('unsealed', 2), createMemoryFile('small', 4096)]
    addon.truncateFile(unfit[1]!, 8192)
    for (const file of unfit) {
      const attacker = new Attacker(space)
      attacker.send(HELLO)
      attacker.send(CLAIM)
      attacker.send({ type: 'claimChannel', id: 2, channel: 'a', info: '', heaps: [{ heap: 5, member: 1, byteLength: 8192 }] }, [file])
      assert.match(await attacker.dropped(), /does not fit/)
      attacker.close()
      closeSync(file)
    }
  })
})

test('a flood from one that never reads costs it its place, and others little', async (t) => {
  await using space = new Workspace(t)
  await attacked(space, async (client) => {
    const attacker = new Attacker(space)
    attacker.send(HELLO)
    for (let id = 1, open = true; open; id = (id % 4e9) + 1) {
      const sent = attacker.send({ type: 'ping', id })
      if (sent === undefined) open = false
      if (sent === false || id % 500 === 0) await client.ping()
    }
    attacker.close()
  })
})

test('a server that never answers costs its clients their time and no more', async (t) => {
  await using space = new Workspace(t)
  await attacked(space, async (client) => {
    const attacker = new Attacker(space)
    attacker.send(HELLO)
    attacker.send({ type: 'register', id: 1, channel: 'trap', info: '{}', sharedBytes: 0, publishedBytes: 0 })
    while ((await attacker.receive())?.type !== 'registered') continue
    const opening = client.openConnection('trap', { heapBytes: 4096, controlBytes: 4096, timeoutMs: 100 }, {})
    await assert.rejects(opening, { code: 'DEADLINE_EXCEEDED' })
    attacker.close()
    // As it was heard before the attacker's end, or after it.
    await assertRejects(client.openConnection('trap', { heapBytes: 4096, controlBytes: 4096 }, {}), /NOT_FOUND|UNAVAILABLE/, /trap/)
  })
})

test('hundreds of connections that say nothing do not keep others out', async (t) => {
  await using space = new Workspace(t)
  await attacked(space, async (client) => {
    const silent = Array.from({ length: 300 }, () => new Attacker(space))
    await client.ping()
    for (const attacker of silent) attacker.close()
  })
})
