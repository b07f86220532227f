// The isolate's link: what it answers, who owns which descriptor, and that none is left on any path.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { RpcError } from '../../src/base/errors.js'
import { DaemonClient, type ChannelEvents, type ConnectionEnd, type IncomingConnection, type MemoryGrant } from '../../src/control/index.js'
import { Mapping, mappingCount } from '../../src/sys/index.js'
import { assertRejects, closeGrants, memoryFiles, openFiles, Workspace } from './support.js'

process.env['RPCOOL_DAEMON_IDLE_MS'] = '150'
const PAGE = 4096
const OPEN = { heapBytes: 16 * PAGE, controlBytes: 2 * PAGE }

const accepting: ChannelEvents = { incoming: () => ({ events: {} }) }

test('both ends map the same memory at the same address', async (t) => {
  await using space = new Workspace(t)
  const [server, client] = [space.client(), space.client()]
  const written = Uint8Array.of(1, 2, 3)
  let asked: IncomingConnection | undefined
  await server.registerChannel('rack1/a', { info: { fingerprint: 'f' } }, {
    incoming: (request) => {
      asked = request
      const mapping = Mapping.map(request.heap!.fd, request.heap!.address, request.heap!.byteLength)
      new Uint8Array(mapping.buffer).set(written)
      mapping.unmap()
      return { events: {}, info: ['yes'] }
    },
  })
  const opened = await client.openConnection('rack1/a', { ...OPEN, info: { version: 1 } }, {})
  const mapping = Mapping.map(opened.heap.fd, opened.heap.address, opened.heap.byteLength)
  assert.deepEqual(new Uint8Array(mapping.buffer).slice(0, 3), written)
  mapping.unmap()
  assert.equal(opened.token, asked?.token)
  assert.match(opened.token, /^[0-9a-f]{32}$/)
  assert.deepEqual([opened.serverInfo, opened.answer, asked?.info], [{ fingerprint: 'f' }, ['yes'], { version: 1 }])
  assert.deepEqual([opened.server.pid, asked?.client.pid, opened.server.uid], [process.pid, process.pid, process.getuid?.()])
  assert.equal(opened.heap.shared, false)
  closeGrants(opened.control, opened.heap)
  assert.throws(() => opened.heap.fd, { code: 'FAILED_PRECONDITION' })
  assert.throws(() => asked?.heap?.fd, { code: 'FAILED_PRECONDITION' }, 'the handler\'s descriptors are closed when it has decided')
  assert.equal(mappingCount(), 0)
})

test('growing tells the other end, with the same memory', async (t) => {
  await using space = new Workspace(t)
  const [server, client] = [space.client(), space.client()]
  const added: MemoryGrant[] = []
  let end: ConnectionEnd | undefined
  await server.registerChannel('a', {}, {
    incoming: (request) => {
      end = request
      return { events: { heapAdded: (heap) => added.push(heap) } }
    },
  })
  const opened = await client.openConnection('a', OPEN, { heapAdded: (heap) => added.push(heap) })
  const first = await client.growConnection(opened, 4 * PAGE)
  const second = await server.growConnection(end!, 8 * PAGE)
  await space.until('both ends to hear', () => added.length === 2)
  assert.deepEqual(added.map(({ address, byteLength }) => [address, byteLength]), [first, second].map(({ address, byteLength }) => [address, byteLength]))
  assert.deepEqual([first.peerMember, first.member], [added[0]?.member, added[0]?.peerMember])
  closeGrants(first, second, opened.control, opened.heap)
  await assertRejects(client.growConnection(opened, 4097), 'INVALID_ARGUMENT', /whole pages/)
})

test('a channel\'s shared heap is attached by each client, and can grow', async (t) => {
  await using space = new Workspace(t)
  const [server, client] = [space.client(), space.client()]
  const { sharedHeap } = await server.registerChannel('a', { sharedHeapBytes: 32 * PAGE }, accepting)
  const added: MemoryGrant[] = []
  const opened = await client.openConnection('a', OPEN, { heapAdded: (heap) => added.push(heap) })
  assert.deepEqual([opened.heap.address, opened.heap.shared, opened.heap.peerMember], [sharedHeap?.address, true, sharedHeap?.member])
  const further = await server.growChannel('a', PAGE)
  await space.until('the client to hear', () => added.length === 1)
  const later = await client.openConnection('a', OPEN, {})
  assert.deepEqual(later.furtherHeaps.map(({ address }) => address), [further.address])
  closeGrants(sharedHeap, further, opened.control, opened.heap, later.control, later.heap, ...later.furtherHeaps)
  await server.unregisterChannel('a')
})

test('a connection closed is told once, and its events come after it was handed out', async (t) => {
  await using space = new Workspace(t)
  const [server, client] = [space.client(), space.client()]
  const heard: string[] = []
  await server.registerChannel('a', {}, {
    incoming: (request) => {
      setImmediate(() => server.closeConnection(request))
      return { events: { connectionClosed: () => heard.push('server'), peerDied: () => heard.push('server died') } }
    },
  })
  const opened = await client.openConnection('a', OPEN, { connectionClosed: () => heard.push('client'), peerDied: () => heard.push('died') })
  heard.push('opened')
  await space.until('the client to hear', () => heard.length === 2)
  assert.deepEqual(heard, ['opened', 'client'])
  for (let i = 0; i < 2; i++) {
    client.releaseHeap(opened.heap)
    client.closeConnection(opened)
  }
  closeGrants(opened.control, opened.heap)
  server.close()
  await client.ping()
  await turn()
  assert.deepEqual(heard, ['opened', 'client'])
})

test('a server refuses with its own error; what it throws otherwise is UNKNOWN', async (t) => {
  await using space = new Workspace(t)
  const [server, client] = [space.client(), space.client()]
  let failure: Error = new RpcError('PERMISSION_DENIED', 'not you', { channel: 'a' })
  await server.registerChannel('a', {}, { incoming: () => Promise.reject(failure) })
  await assertRejects(client.openConnection('a', OPEN, {}), 'PERMISSION_DENIED', /^PERMISSION_DENIED: not you \[a\]$/)
  failure = new TypeError('oops')
  await assertRejects(client.openConnection('a', OPEN, {}), 'UNKNOWN', /oops/)
})

test('a wait ends with its time, and a decision that comes too late is told to the server', async (t) => {
  await using space = new Workspace(t)
  const [server, client] = [space.client(), space.client()]
  let decide: () => void = () => undefined
  const heard: string[] = []
  await server.registerChannel('a', {}, {
    incoming: async () => {
      await new Promise<void>((resolve) => (decide = resolve))
      return { events: { connectionClosed: () => heard.push('closed') } }
    },
  })
  await assertRejects(client.openConnection('a', { ...OPEN, timeoutMs: 60 }, {}), 'DEADLINE_EXCEEDED', /the server did not answer|in time/)
  decide()
  await space.until('the server to hear', () => heard.length === 1)
})

test('mistakes are answered with what was wrong, and the link goes on', async (t) => {
  await using space = new Workspace(t)
  const client = space.client()
  await client.registerChannel('rack1/users', {}, accepting)
  await assertRejects(client.openConnection('rack1/user', OPEN, {}), 'NOT_FOUND', /"rack1\/user".*rack1\/users/)
  await assertRejects(client.registerChannel('rack1/users', {}, accepting), 'ALREADY_EXISTS', new RegExp(`process ${process.pid}`))
  await assertRejects(client.registerChannel('a//b', {}, accepting), 'INVALID_ARGUMENT', /empty segment/)
  await assertRejects(client.registerChannel('b', { info: 'x'.repeat(9000) }, accepting), 'INVALID_ARGUMENT', /characters as JSON/)
  await assertRejects(client.openConnection('rack1/users', { heapBytes: 100, controlBytes: PAGE }, {}), 'INVALID_ARGUMENT', /heapBytes must be/)
  await assertRejects(client.openConnection('rack1/users', { heapBytes: 2 ** 33, controlBytes: PAGE }, {}), 'INVALID_ARGUMENT', /heapBytes must be/)
  await assertRejects(client.unregisterChannel('b'), 'NOT_FOUND', /registered no channel/)
  await client.ping()
  client.close()
  await assertRejects(client.ping(), 'CANCELLED', /closed/)
})

test('one may connect to oneself', async (t) => {
  await using space = new Workspace(t)
  const client = space.client()
  const heard: string[] = []
  await client.registerChannel('a', {}, { incoming: () => ({ events: { connectionClosed: () => heard.push('server'), peerDied: () => heard.push('died') } }) })
  const opened = await client.openConnection('a', OPEN, { connectionClosed: () => heard.push('client') })
  closeGrants(opened.control, opened.heap)
  client.closeConnection(opened)
  await space.until('the other end to hear', () => heard.length === 1)
  assert.deepEqual(heard, ['server'])
})

test('no path leaves a descriptor, here or in the daemon', async (t) => {
  await using space = new Workspace(t)
  const [server, client] = [space.client(), space.client()]
  const pid = await space.daemonPid(server)
  await client.connect()
  const before = [openFiles().length, openFiles(pid).length]
  let refuse = false
  let end: ConnectionEnd | undefined
  for (let i = 0; i < 20; i++) {
    const { sharedHeap } = await server.registerChannel('s', { sharedHeapBytes: PAGE }, accepting)
    await server.registerChannel('a', {}, {
      incoming: async (request) => {
        end = request
        await turn()
        if (refuse) throw new RpcError('ABORTED', 'no')
        return { events: {} }
      },
    })
    refuse = i % 2 === 0
    const opening = client.openConnection('a', { ...OPEN, timeoutMs: i % 5 === 0 ? 1 : 5000 }, {})
    const [own, common] = await Promise.allSettled([opening, client.openConnection('s', OPEN, {})])
    if (own.status === 'fulfilled') {
      const { control, heap } = own.value
      const grown = await client.growConnection(own.value, PAGE)
      closeGrants(control, heap, grown)
      client.closeConnection(own.value)
    }
    assert.equal(common.status, 'fulfilled')
    closeGrants(common.value.control, common.value.heap, sharedHeap)
    client.closeConnection(common.value)
    client.releaseHeap(common.value.heap)
    if (end !== undefined) server.closeConnection(end)
    await server.unregisterChannel('a')
    await server.unregisterChannel('s')
  }
  await client.ping()
  await server.ping()
  await space.until('late messages to arrive', () => openFiles().length === before[0])
  await space.until('the daemon to close what was sent', () => openFiles(pid).length === before[1])
  assert.deepEqual([memoryFiles(), memoryFiles(pid)], [0, 0])
})

test('a process without descriptors fails its request, not its link', async (t) => {
  await using space = new Workspace(t)
  const index = new URL('../../src/control/index.js', import.meta.url).href
  const program = `
    import { DaemonClient } from ${JSON.stringify(index)}
    import { openSync, closeSync } from 'node:fs'
    const [server, client] = [new DaemonClient(), new DaemonClient()]
    // The server is sent one descriptor, and closes it before the client is sent two.
    await server.registerChannel('a', { sharedHeapBytes: 4096 }, { incoming: () => ({ events: {} }) })
    const open = () => client.openConnection('a', { heapBytes: 4096, controlBytes: 4096, timeoutMs: 500 }, {})
    await open()
    const taken = []
    try { for (;;) taken.push(openSync('/dev/null')) } catch {}
    closeSync(taken.pop())
    const failed = await open().then(() => 'opened', (error) => error.code)
    for (const fd of taken) closeSync(fd)
    await open()
    console.log(failed)`
  const { stdout, stderr } = spawnSync('prlimit', ['--nofile=200:4096', process.execPath, '--input-type=module', '-e', program], {
    env: { ...process.env, RPCOOL_RUNTIME_DIR: space.directory, NODE_OPTIONS: '' }, encoding: 'utf8',
  })
  assert.equal(stdout.trim(), 'RESOURCE_EXHAUSTED', stderr)
})

test('the isolate\'s own link is one', () => {
  process.env['RPCOOL_RUNTIME_DIR'] ??= '/tmp/rpcool-unused'
  assert.equal(DaemonClient.shared(), DaemonClient.shared())
})
