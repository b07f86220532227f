// Several processes read and change one shared struct of containers, and are killed at any instruction.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { addressOf, build, release } from '../../src/objects/index.js'
import { createMemoryFile } from '../../src/sys/index.js'
import { Random } from '../support/random.js'
import { checkStore, DEAD, DEAD_COUNT, enter, HEAP_BYTES, ROWS, STOP, Store, TABLE_BYTES, valuesOf } from './shared-agent.js'

const MAIN = fileURLToPath(new URL('shared-agent-main.js', import.meta.url))
const OWN_MEMBER = 1000
const MEMBERS_MAX = 900
const KILLS_MIN = 2

interface Agent {
  readonly member: number
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null, readonly signal: string | null, readonly text: string }>
}

async function start(heapFd: number, tableFd: number, member: number, address: number): Promise<Agent> {
  const child = spawn(process.execPath, [MAIN, '3', '4', String(member), String(address)], { stdio: ['ignore', 'pipe', 'pipe', heapFd, tableFd] })
  let text = ''
  const ready = new Promise<void>((resolve) => {
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
        resolve()
      })
    }
  })
  const ended = once(child, 'close').then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null, text }))
  await Promise.race([ready, ended])
  return { member, child, ended }
}

/** Runs for so many seconds, longer where a busy machine has not come to two deaths by then; throws where a write was lost or is there by half, or memory does not come back. */
export async function stormShared(seconds: number, seed: number): Promise<{ readonly kills: number, readonly writes: number }> {
  const heapFd = createMemoryFile('shared-heap', HEAP_BYTES)
  const tableFd = createMemoryFile('shared-table', TABLE_BYTES)
  const ground = enter(heapFd, tableFd, OWN_MEMBER)
  const { table, heap } = ground
  const store = build(Store, ground.set, { words: { ...valuesOf(0), total: 0, byMember: [[0, 0]], document: { total: 0, counts: {}, last: [] } } })
  const address = addressOf(store)
  const random = new Random(seed)
  let member = 1
  const running = [await start(heapFd, tableFd, member++, address), await start(heapFd, tableFd, member++, address)]
  const killed: number[] = []
  const end = Date.now() + seconds * 1000
  while ((Date.now() < end || killed.length < KILLS_MIN) && member < MEMBERS_MAX) {
    await sleep(20 + random.below(120))
    const [victim] = running.splice(random.below(running.length), 1)
    victim!.child.kill('SIGKILL')
    const { signal, text } = await victim!.ended
    assert.equal(signal, 'SIGKILL', text)
    killed.push(victim!.member)
    const count = Atomics.load(table, DEAD_COUNT)
    Atomics.store(table, DEAD + count, victim!.member)
    Atomics.store(table, DEAD_COUNT, count + 1)
    heap.memberDied(victim!.member)
    running.push(await start(heapFd, tableFd, member++, address))
    if (killed.length % 4 === 0) store.words.read(checkStore)
  }
  Atomics.store(table, STOP, 1)
  for (const agent of running) {
    const { code, text } = await agent.ended
    assert.equal(code, 0, text)
    heap.memberDied(agent.member)
  }
  store.words.read(checkStore)
  for (let one = 1; one < member; one++) {
    const counted = store.words.read((words) => words.byMember.get(one) ?? 0)
    const begun = Atomics.load(table, ROWS + one * 2)
    const done = Atomics.load(table, ROWS + one * 2 + 1)
    assert.ok(counted === done || (counted === begun && killed.includes(one)), `member ${one} wrote ${done} of ${begun} times, and ${counted} are there`)
  }
  const done = Array.from({ length: member }, (_, one) => Atomics.load(table, ROWS + one * 2 + 1)).reduce((sum, count) => sum + count, 0)
  heap.collect()
  release(ground.set, store)
  heap.collect()
  const { liveBlocks } = heap.stats()
  // One that died may have had a block or two between taking and noting it.
  assert.ok(liveBlocks <= killed.length * 2, `${liveBlocks} blocks are left after ${killed.length} deaths`)
  ground.unmap()
  closeSync(heapFd)
  closeSync(tableFd)
  return { kills: killed.length, writes: done }
}
