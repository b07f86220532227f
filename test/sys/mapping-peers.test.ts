// A file at one address, in several isolates and processes: taking it away reaches all, harms none.
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Addon, addon, packageRoot } from '../../src/sys/addon.js'
import { mappingCount, WINDOW_BASE, WINDOW_END } from '../../src/sys/index.js'
import { ADDRESS, BYTES, File, LeakCheck, startProcess, startThread } from './peer.js'

test('another process has the file at the same address, and keeps it when we take ours away', async () => {
  using _leaks = new LeakCheck()
  using file = new File()
  const mapping = file.map()
  const words = new Int32Array(mapping.buffer)
  {
    await using peer = startProcess(file.fd)
    assert.equal(await peer.ask({ do: 'map', fd: 4, address: ADDRESS, byteLength: BYTES }), BYTES / 4)
    words[3] = 77
    assert.equal(await peer.ask({ do: 'read', index: 3 }), 77)
    assert.match(String(await peer.ask({ do: 'maps' })), new RegExp(`^${ADDRESS.toString(16)}-\\w+ rw-s .*rpcool:test`, 'm'))
    mapping.revoke()
    assert.equal(await peer.ask({ do: 'read', index: 3 }), 77)
    assert.equal(await peer.ask({ do: 'unmap' }), 0)
    assert.equal(await peer.ask({ do: 'read', index: 3 }), -1)
    assert.equal(await peer.ask({ do: 'count' }), 0)
  }
})

test('a thread that still holds a revoked mapping reads zeros, reaches nothing, and keeps the address until it lets go', async () => {
  using _leaks = new LeakCheck()
  using file = new File()
  using other = new File()
  const mapping = file.map()
  {
    await using thread = startThread()
    await thread.ask({ do: 'map', fd: file.fd, address: ADDRESS, byteLength: BYTES })
    new Int32Array(mapping.buffer)[3] = 1
    mapping.revoke()
    assert.equal(await thread.ask({ do: 'read', index: 3 }), 0)
    await thread.ask({ do: 'write', index: 3, value: 99 })
    assert.equal(mappingCount(), 1)
    assert.throws(() => other.map(), { code: 'EEXIST' })
    assert.equal(await thread.ask({ do: 'unmap' }), 0)
    assert.equal(mappingCount(), 0)
    const fresh = other.map()
    assert.equal(await thread.ask({ do: 'read', index: 3 }), -1)
    await thread.ask({ do: 'write', index: 3, value: 99 })
    assert.equal(new Int32Array(fresh.buffer)[3], 0)
    fresh.unmap()
    const again = file.map()
    assert.equal(new Int32Array(again.buffer)[3], 1, 'the late store did not reach the file')
    again.unmap()
  }
})

test('unmap in one thread leaves the other one its memory', async () => {
  using _leaks = new LeakCheck()
  using file = new File()
  const mapping = file.map()
  {
    await using thread = startThread()
    await thread.ask({ do: 'map', fd: file.fd, address: ADDRESS, byteLength: BYTES })
    new Int32Array(mapping.buffer)[3] = 5
    mapping.unmap()
    assert.equal(await thread.ask({ do: 'read', index: 3 }), 5)
    await thread.ask({ do: 'unmap' })
  }
})

test('memory revoked in the middle of another thread\'s loop ends the loop and nothing else', async () => {
  using _leaks = new LeakCheck()
  using file = new File()
  for (let round = 0; round < 10; round++) {
    const mapping = file.map()
    await using thread = startThread()
    await thread.ask({ do: 'map', fd: file.fd, address: ADDRESS, byteLength: BYTES })
    const words = new Int32Array(mapping.buffer)
    words[10] = 1
    const spinning = thread.ask({ do: 'spin', index: 10 })
    await sleep(round * 3)
    mapping.revoke()
    assert.equal(await spinning, 0)
    await thread.ask({ do: 'unmap' })
  }
})

test('a thread that ends without unmapping leaves nothing', async () => {
  using _leaks = new LeakCheck()
  using file = new File()
  for (let round = 0; round < 5; round++) {
    await using thread = startThread()
    await thread.ask({ do: 'map', fd: file.fd, address: ADDRESS, byteLength: BYTES })
    assert.equal(mappingCount(), 1)
    if (round % 2 === 0) await thread.ask({ do: 'exit' })
  }
})

test('threads that reserve the window at the same moment all join', async () => {
  // In a process of its own: here the window is reserved already.
  const text = `
    import { Worker } from 'node:worker_threads'
    import { once } from 'node:events'
    const code = 'import(' + JSON.stringify(${JSON.stringify(new URL('../../src/sys/addon.js', import.meta.url).href)}) +
      ').then(({ addon }) => addon.reserveWindow(${WINDOW_BASE}, ${WINDOW_END - WINDOW_BASE}, new Uint8Array(0)))'
    const all = Array.from({ length: 6 }, () => new Worker(code, { eval: true }))
    const codes = await Promise.all(all.map(async (worker) => (await once(worker, 'exit'))[0]))
    process.exit(codes.every((exit) => exit === 0) ? 0 : 1)`
  for (let round = 0; round < 3; round++) {
    const result = spawnSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' })
    assert.equal(result.status, 0, result.stderr)
  }
})

test('two copies of the addon share the window and its table', () => {
  using _leaks = new LeakCheck()
  using file = new File()
  using other = new File()
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-addon'))
  try {
    const path = join(folder, 'copy.node')
    copyFileSync(join(packageRoot(), 'prebuilds', `linux-${process.arch}`, 'rpcool.node'), path)
    const copy = createRequire(import.meta.url)(path) as Addon
    assert.equal(copy.mappings(), 0)
    const mapping = file.map()
    assert.equal(copy.reserveWindow(WINDOW_BASE, WINDOW_END - WINDOW_BASE, new Uint8Array(0)), false)
    assert.equal(copy.mappings(), 1)
    assert.throws(() => copy.mapFile(other.fd, ADDRESS, BYTES, true), { code: 'EEXIST' })
    const [buffer, holder] = copy.mapFile(file.fd, ADDRESS, BYTES, true)
    new Int32Array(mapping.buffer)[0] = 3
    assert.equal(new Int32Array(buffer)[0], 3)
    mapping.unmap()
    assert.equal(addon.mappings(), 1)
    copy.revoke(ADDRESS)
    assert.equal(new Int32Array(buffer)[0], 0)
    copy.unmap(buffer, holder)
    assert.equal(addon.mappings(), 0)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('where the limit on address space forbids the window, the error says so', () => {
  const text = `const { Mapping, createMemoryFile, HEAPS_BASE } = await import(${JSON.stringify(new URL('../../src/sys/index.js', import.meta.url).href)})
    try { Mapping.map(createMemoryFile('x', 4096), HEAPS_BASE, 4096) } catch (error) { process.stdout.write(String(error)) }`
  const limited = spawnSync('prlimit', [`--as=${2 ** 40}`, process.execPath, '--input-type=module', '-e', text], { encoding: 'utf8' })
  assert.match(limited.stdout, /FAILED_PRECONDITION: the address window of heaps cannot be reserved: the limit on address space/, limited.stderr)
})
