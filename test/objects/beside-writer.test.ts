// What a reader sees of fields while somebody writes them: ARCHITECTURE's first rows of "Readers and writers".
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { addressOf, bool, connect, f32, f64, i16, method, nothing, ref, RpcError, serve, service, struct, text, u32, u64 } from '../../src/index.js'

const Fields = struct('BesideWriter', { word: u32, half: i16, yes: bool, single: f32, double: f64, long: u64, short: text, any: text, get next() { return ref(Fields) } })
const Writing = service('beside-writer', { write: method(1, Fields, nothing), stop: method(2, nothing, nothing) })

const VALUES = [
  { word: 0, half: -1, yes: false, single: 1, double: 0, long: 0n, short: 'aaaaa', any: 'aaaaa' },
  { word: 0xffff_ffff, half: 0x1234, yes: true, single: -2, double: -1.1e300, long: 2n ** 64n - 1n, short: 'bbbbb', any: 'a text that takes memory of its own' },
] as const
/** Written by one store each. */
const WHOLE = ['word', 'half', 'yes', 'single', 'double'] as const

if (isMainThread) {
  test('beside one writer fields of one store are old or new, and what takes two is that, a mixture or an error', async () => {
    const writer = new Worker(new URL(import.meta.url), { workerData: `beside-writer/${process.pid}` })
    await new Promise((resolve) => writer.once('message', resolve))
    const conn = await connect(`beside-writer/${process.pid}`, Writing)
    const fields = conn.heap.new(Fields, { ...VALUES[0], next: null })
    await conn.write(fields)
    const seen = new Map(WHOLE.map((name) => [name, new Set<unknown>()]))
    let others = 0
    for (const end = performance.now() + 400; performance.now() < end;) {
      for (const name of WHOLE) {
        const value = fields[name]
        assert.ok(VALUES.some((one) => one[name] === value), `${name} was ${String(value)}, which nobody wrote`)
        seen.get(name)!.add(value)
      }
      for (const name of ['long', 'short', 'any', 'next'] as const) {
        try {
          const value = fields[name]
          assert.ok(value === null || ['bigint', 'string', 'object'].includes(typeof value))
        } catch (error) {
          if (!RpcError.is(error)) throw error
        }
        others++
      }
    }
    for (const [name, values] of seen) assert.equal(values.size, 2, `${name} was written meanwhile`)
    assert.ok(others > 0)
    await conn.stop()
    await conn.close()
    writer.postMessage('end')
    await new Promise((resolve) => writer.once('exit', resolve))
  })
} else {
  let writing: NodeJS.Immediate | undefined
  const server = await serve(workerData as string, Writing, {
    write: (fields, { heap }) => {
      const kept = heap.at(Fields, addressOf(fields))
      const turn = (): void => {
        for (let i = 0; i < 2000; i++) Object.assign(kept, VALUES[i & 1], { next: (i & 1) === 0 ? null : kept })
        writing = setImmediate(turn)
      }
      turn()
    },
    stop: () => clearImmediate(writing),
  })
  parentPort!.once('message', () => void server.close().then(() => parentPort!.close()))
  parentPort!.postMessage('ready')
}
