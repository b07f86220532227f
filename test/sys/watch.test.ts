// One suite for both mechanisms that tell when a descriptor is ready.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { addon } from '../../src/sys/addon.js'
import { acceptUnix, connectUnix, listenUnix, PollWatch, ThreadWatch, type Watch, type WatchCallback } from '../../src/sys/index.js'
import { LeakCheck } from './peer.js'

// The thread of the second mechanism keeps its own descriptors from its first use on.
new ThreadWatch(listenUnix(`@rpcool-watch-${process.pid}`, 'stream', 1), () => undefined).close()

let names = 0

class Ends implements Disposable {
  readonly left: number
  readonly right: number

  constructor() {
    const path = `@rpcool-watch-${process.pid}-${names++}`
    const listener = listenUnix(path, 'stream', 1)
    this.left = connectUnix(path, 'stream')
    this.right = acceptUnix(listener) ?? -1
    closeSync(listener)
  }

  [Symbol.dispose](): void {
    closeSync(this.left)
    closeSync(this.right)
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(1)
}

const mechanisms: readonly (readonly [name: string, make: (fd: number, callback: WatchCallback) => Watch])[] = [
  ['libuv', (fd, callback) => new PollWatch(fd, callback)],
  ['the epoll thread', (fd, callback) => new ThreadWatch(fd, callback)],
]

for (const [name, make] of mechanisms) {
  test(`${name}: tells each time that there is something to read`, async () => {
    using _leaks = new LeakCheck()
    using ends = new Ends()
    let told = 0
    const watch = make(ends.right, (readable) => {
      if (readable && addon.drainDoorbell(ends.right) > 0) told++
    })
    await sleep(20)
    assert.equal(told, 0)
    for (let round = 1; round <= 50; round++) {
      addon.ringDoorbell(ends.left)
      await until(() => told === round)
    }
    watch.close()
    watch.close()
  })

  test(`${name}: tells again while something is left to read`, async () => {
    using _leaks = new LeakCheck()
    using ends = new Ends()
    let told = 0
    const watch = make(ends.right, () => {
      told++
    })
    addon.ringDoorbell(ends.left)
    await until(() => told >= 5)
    watch.close()
  })

  test(`${name}: tells the end of the peer`, async () => {
    using _leaks = new LeakCheck()
    using ends = new Ends()
    let ended = false
    const watch = make(ends.right, (readable) => {
      ended ||= readable && addon.drainDoorbell(ends.right) === 0
    })
    addon.shutdownSocket(ends.left)
    await until(() => ended)
    watch.close()
  })

  test(`${name}: is silent while not wanted, and speaks again`, async () => {
    using _leaks = new LeakCheck()
    using ends = new Ends()
    let told = 0
    const watch = make(ends.right, () => {
      told++
    })
    watch.setReadable(false)
    addon.ringDoorbell(ends.left)
    await sleep(20)
    const silent = told
    assert.ok(silent <= 1, 'at most one that was on its way')
    watch.setReadable(true)
    await until(() => told > silent)
    watch.close()
  })

  test(`${name}: tells that a write would not block, when asked`, async () => {
    using _leaks = new LeakCheck()
    using ends = new Ends()
    let writable = 0
    const watch = make(ends.right, (_, canWrite) => {
      if (canWrite) writable++
    })
    await sleep(10)
    assert.equal(writable, 0)
    watch.setWritable(true)
    await until(() => writable > 0)
    watch.setWritable(false)
    await sleep(5)
    const before = writable
    await sleep(20)
    assert.equal(writable, before)
    watch.close()
  })

  test(`${name}: nothing is told after close, not even from within the callback`, async () => {
    using _leaks = new LeakCheck()
    using ends = new Ends()
    let told = 0
    const watch = make(ends.right, () => {
      told++
      watch.close()
    })
    addon.ringDoorbell(ends.left)
    await until(() => told > 0)
    addon.ringDoorbell(ends.left)
    await sleep(20)
    assert.equal(told, 1)
    watch.setReadable(true)
    watch.setWritable(true)
    watch.setReferenced(false)
  })

  test(`${name}: many descriptors, each its own callback`, async () => {
    using _leaks = new LeakCheck()
    const all = Array.from({ length: 200 }, () => new Ends())
    const told = new Set<number>()
    const watches = all.map((ends, i) => make(ends.right, () => {
      if (addon.drainDoorbell(ends.right) > 0) told.add(i)
    }))
    for (const [i, ends] of all.entries()) if (i % 2 === 0) addon.ringDoorbell(ends.left)
    await until(() => told.size === 100)
    assert.ok([...told].every((i) => i % 2 === 0))
    for (const watch of watches) watch.close()
    for (const ends of all) ends[Symbol.dispose]()
  })

  test(`${name}: a closed descriptor is refused`, () => {
    using _leaks = new LeakCheck()
    assert.throws(() => make(99_999, () => undefined))
  })

  test(`${name}: an unreferenced watch lets the process end; a referenced one keeps it until closed`, () => {
    const which = name === 'libuv' ? 'PollWatch' : 'ThreadWatch'
    const program = (rest: string): string => `
      const { ${which}, listenUnix } = await import(${JSON.stringify(new URL('../../src/sys/index.js', import.meta.url).href)})
      const watch = new ${which}(listenUnix('@rpcool-keep-' + process.pid, 'stream', 1), () => {})
      let late = false
      process.on('exit', () => process.stdout.write(String(late)))
      ${rest}`
    const run = (rest: string): string => {
      const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program(rest)], { encoding: 'utf8' })
      assert.equal(status, 0, stderr)
      return stdout
    }
    assert.equal(run('watch.setReferenced(false); setTimeout(() => { late = true }, 5000).unref()'), 'false')
    assert.equal(run('setTimeout(() => { late = true; watch.close() }, 100).unref()'), 'true')
  })
}
