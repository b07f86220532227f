// The daemon as a process: who starts it, when it ends, what it notices, what it gives back.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { DaemonClient, runtimeDirectory } from '../../src/control/index.js'
import { assertRejects, closeGrants, isAlive, memoryFiles, openFiles, Workspace } from './support.js'

process.env['RPCOOL_DAEMON_IDLE_MS'] = '150'
const PAGE = 4096

test('eight processes that need a daemon at once get one', async (t) => {
  await using space = new Workspace(t)
  const children = await Promise.all(Array.from({ length: 8 }, () => space.child()))
  const pids = await Promise.all(children.map((child) => child.do('connect')))
  assert.equal(new Set(pids).size, 1)
  assert.equal(await space.daemonPid(space.client()), pids[0])
})

test('of eight daemons started at once one stays, and the others end silently', async (t) => {
  await using space = new Workspace(t)
  const main = fileURLToPath(new URL('../../src/control/daemon/daemon-main.js', import.meta.url))
  const daemons = Array.from({ length: 8 }, () => spawn(process.execPath, [main], {
    env: { ...process.env, RPCOOL_RUNTIME_DIR: space.directory, RPCOOL_DAEMON_IDLE_MS: '2000' }, stdio: ['ignore', 'pipe', 'pipe'],
  }))
  let said = ''
  for (const { stdout, stderr } of daemons) for (const stream of [stdout, stderr]) stream.on('data', (data: Buffer) => (said += data.toString()))
  space.waitsFor = 'the losers to end'
  await space.until('seven of eight daemons to end', () => daemons.filter(({ exitCode }) => exitCode === 0).length === 7)
  const winner = await space.daemonPid(space.client())
  assert.ok(daemons.some(({ pid }) => pid === winner))
  assert.equal(said, '')
})

test('a daemon that nobody needs ends, and leaves no socket', async (t) => {
  await using space = new Workspace(t)
  const client = space.client()
  const pid = await space.daemonPid(client)
  assert.ok(existsSync(join(space.directory, 'daemon.sock')))
  client.close()
  await space.until('the daemon to end', () => !isAlive(pid))
  assert.ok(!existsSync(join(space.directory, 'daemon.sock')))
  assert.notEqual(await space.daemonPid(space.client()), pid)
})

test('a link does not keep its process alive', async (t) => {
  const index = new URL('../../src/control/index.js', import.meta.url).href
  const program = `import { DaemonClient } from ${JSON.stringify(index)}; await DaemonClient.shared().connect()`
  await using space = new Workspace(t)
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, RPCOOL_RUNTIME_DIR: space.directory, NODE_OPTIONS: '' }, encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
})

test('an unfit runtime directory is refused with what to do', async (t) => {
  await using space = new Workspace(t)
  const at = (name: string): string => join(space.directory, name)
  mkdirSync(at('open'))
  chmodSync(at('open'), 0o777)
  symlinkSync(space.directory, at('link'))
  const refused = (directory: string, message: RegExp): Promise<void> =>
    assertRejects(new DaemonClient({ directory }).connect(), 'FAILED_PRECONDITION', message)
  await refused(at('open'), /written by others \(mode 777.*RPCOOL_RUNTIME_DIR/)
  await refused(at('link'), /is not a directory/)
  await refused(at('x'.repeat(120)), /longer than the 107 bytes/)
  await refused('/proc/none', /cannot be made/)
  if (process.getuid?.() === 0) {
    mkdirSync(at('foreign'), 0o700)
    chownSync(at('foreign'), 4242, 4242)
    await refused(at('foreign'), /belongs to user 4242/)
  }
  assert.equal(runtimeDirectory({ RPCOOL_RUNTIME_DIR: '/a/b/../c' }), '/a/c')
  assert.equal(runtimeDirectory({ XDG_RUNTIME_DIR: space.directory }), join(space.directory, 'rpcool'))
  assert.match(runtimeDirectory({ XDG_RUNTIME_DIR: '/nowhere' }), /^\/tmp\/rpcool-\d+$/)
})

test('a client killed is told to its server, a server killed to its client, and everything comes back', async (t) => {
  await using space = new Workspace(t)
  const observer = space.client()
  const pid = await space.daemonPid(observer)
  const before = openFiles(pid).length
  const [server, client] = [await space.child(), await space.child()]
  await server.do('register', 'a')
  await client.do('open', 'a')
  await space.until('the daemon to close what both ends have', () => memoryFiles(pid) === 0)
  await client.kill()
  await space.until('the server to hear of the client\'s death', () => server.events.includes('server peerDied') && server.events.includes('server memberGone 1'))
  const second = await space.child()
  await second.do('open', 'a')
  await server.kill()
  await space.until('the client to hear of the server\'s death', () => second.events.includes('client peerDied'))
  await assertRejects(second.do('open', 'a'), 'NOT_FOUND', /no channel "a"/)
  await second.kill()
  await space.until('the daemon to close everything', () => openFiles(pid).length === before)
})

test('the death of a server fails a client that waits for its decision; a name is free at once', async (t) => {
  await using space = new Workspace(t)
  const [server, client] = [await space.child(), await space.child()]
  await server.do('register', 'a', 'never')
  const opening = client.do('open', 'a')
  await space.until('the server to be asked', () => server.events.includes('incoming'))
  await assertRejects(client.do('register', 'a'), 'ALREADY_EXISTS', new RegExp(`process ${server.pid}`))
  const refused = assertRejects(opening, 'UNAVAILABLE', /died before it accepted/)
  await server.kill()
  await client.do('register', 'a')
  await refused
})

test('a shared heap\'s file is held while its channel lives, also by nobody else', async (t) => {
  await using space = new Workspace(t)
  const pid = await space.daemonPid(space.client())
  const [server, client] = [await space.child(), await space.child()]
  const address = await server.do('register', 'a', 'accept', String(16 * PAGE))
  assert.equal(await client.do('open', 'a'), address)
  await space.until('the daemon to hold the shared heap only', () => memoryFiles(pid) === 1)
  await client.kill()
  await space.until('the server to hear of the member', () => server.events.includes('channel memberGone 2'))
  await server.kill()
  await space.until('the daemon to close the file', () => memoryFiles(pid) === 0)
})

test('without descriptors the daemon answers, and goes on when it has some again', async (t) => {
  await using space = new Workspace(t)
  const client = space.client()
  const pid = await space.daemonPid(client)
  await client.registerChannel('a', {}, { incoming: () => ({ events: {} }) })
  const limit = (files: number): void => {
    const { status, stderr } = spawnSync('prlimit', [`--pid=${pid}`, `--nofile=${files}:4096`], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  }
  const open = () => client.openConnection('a', { heapBytes: PAGE, controlBytes: PAGE }, {})
  limit(openFiles(pid).length)
  await assertRejects(open(), 'RESOURCE_EXHAUSTED', /EMFILE/)
  const late = space.client().connect()
  limit(4096)
  await late
  const { control, heap } = await open()
  closeGrants(control, heap)
  await space.until('the daemon to close what both ends have', () => memoryFiles(pid) === 0)
})

test('a worker thread is a participant of its own, and its end is its death', async (t) => {
  await using space = new Workspace(t)
  const { Worker } = await import('node:worker_threads')
  const client = space.client()
  await client.registerChannel('a', {}, { incoming: () => ({ events: { peerDied: () => died++ } }) })
  let died = 0
  const index = new URL('../../src/control/index.js', import.meta.url).href
  const worker = new Worker(`(async () => {
    const { DaemonClient } = await import(${JSON.stringify(index)})
    const client = new DaemonClient({ directory: ${JSON.stringify(space.directory)} })
    const { control, heap } = await client.openConnection('a', { heapBytes: 4096, controlBytes: 4096 }, {})
    control.close()
    heap.close()
  })()`, { eval: true })
  space.waitsFor = 'the worker to end'
  await once(worker, 'exit')
  await space.until('the worker\'s death to be told', () => died === 1)
  assert.equal(memoryFiles(), 0)
  await space.daemonPid(client)
})
