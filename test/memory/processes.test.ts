// Real processes and worker threads on one memfd at once, some killed at any instruction.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { Heap } from '../../src/memory/index.js'
import { createMemoryFile, HEAPS_BASE, Mapping, mappingCount } from '../../src/sys/index.js'
import { checkStamp, HEAP_BYTES, HELD_MAX, Table, TABLE_ADDRESS, TABLE_BYTES } from './agent.js'
import { capacity, Draw } from './model.js'

const MAIN = new URL('agent-main.js', import.meta.url)

interface Running {
  readonly member: number
  readonly child: ChildProcess
  /** Resolves with exit code, signal and everything that the process printed. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null; readonly text: string }>
}

async function start(heapFd: number, tableFd: number, member: number): Promise<Running> {
  const child = spawn(process.execPath, [fileURLToPath(MAIN), '3', '4', String(member)], {
    stdio: ['ignore', 'pipe', 'pipe', heapFd, tableFd],
  })
  let text = ''
  const ready = new Promise<void>((resolve) => {
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
        resolve()
      })
    }
  })
  const ended = once(child, 'close').then(([code, signal]) =>
    ({ code: code as number | null, signal: signal as string | null, text }))
  await Promise.race([ready, ended])
  return { member, child, ended }
}

test('processes and threads share one heap; some are killed; no block is given twice and all memory comes back', async () => {
  const descriptors = readdirSync('/proc/self/fd').length
  const heapFd = createMemoryFile('agents-heap', HEAP_BYTES)
  const tableFd = createMemoryFile('agents-table', TABLE_BYTES)
  const heapMapping = Mapping.map(heapFd, HEAPS_BASE, HEAP_BYTES)
  const tableMapping = Mapping.map(tableFd, TABLE_ADDRESS, TABLE_BYTES)
  const heap = new Heap(heapMapping.buffer, HEAPS_BASE, 1000)
  const table = new Table(new Int32Array(tableMapping.buffer))
  const draw = new Draw(77)
  let member = 1
  const workers = [1, 2].map(() => new Worker(MAIN, { workerData: { heapFd, tableFd, member: member++ } }))
  const handed = workers.map((worker) => once(worker, 'message').then(([count]) => count as number))
  const threadsEnded = workers.map((worker) => once(worker, 'exit'))
  const running: Running[] = []
  for (let i = 0; i < 3; i++) running.push(await start(heapFd, tableFd, member++))

  const killed: number[] = []
  for (let round = 0; round < 12; round++) {
    await sleep(draw.below(60))
    const [victim] = running.splice(draw.below(running.length), 1)
    victim!.child.kill('SIGKILL')
    const { signal, text } = await victim!.ended
    assert.equal(signal, 'SIGKILL', text)
    killed.push(victim!.member)
    table.announceDeath(victim!.member)
    running.push(await start(heapFd, tableFd, member++))
  }
  table.stop()
  for (const { ended } of running) {
    const { code, text } = await ended
    assert.equal(code, 0, text)
    assert.match(text, /handed \d+/)
  }
  assert.ok((await Promise.all(handed)).every((count) => count > 0))
  await Promise.all(threadsEnded)

  for (let gone = 1; gone < member; gone++) heap.memberDied(gone)
  heap.collect()
  const drop = (word: number): void => {
    checkStamp(heap.region.i32, word)
    heap.free(heap.region, word)
  }
  for (const word of table.mailbox()) drop(word)
  for (const dead of killed) {
    for (let place = 0; place < HELD_MAX; place++) if (table.held(dead, place) !== 0) drop(table.held(dead, place))
  }
  heap.collect()
  const { liveBlocks, ownedBytes, freeBytes, refusedFrees } = heap.stats()
  assert.equal(refusedFrees, 0)
  // A victim may have had one block between allocating and noting it, and one between forgetting and freeing it.
  assert.ok(liveBlocks <= killed.length * 2, `${liveBlocks} blocks are left after ${killed.length} deaths`)
  assert.equal(ownedBytes + freeBytes, capacity(heap))
  heapMapping.unmap()
  tableMapping.unmap()
  closeSync(heapFd)
  closeSync(tableFd)
  assert.equal(mappingCount(), 0)
  assert.equal(readdirSync('/proc/self/fd').length, descriptors)
})
