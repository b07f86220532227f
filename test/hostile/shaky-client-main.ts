// A client whose memory somebody else rewrites while it calls: in its scope, and in its heap.
import { type Connection, connect, RpcError } from '../../src/index.js'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { compiledProgram } from '../../bench/support/compile.js'
import { cellOf, locationOf } from '../../src/objects/index.js'
import { Isolated, makeShaky, Shaky } from './isolated-service.js'

const [channel = '', seed = '1', ms = '2000'] = process.argv.slice(2)

/** What came of the calls made while the memory was rewritten. */
export interface ShakyFigures {
  readonly writes: number
  readonly answers: number
  readonly errors: number
  readonly unexpected: readonly string[]
}

async function attack(): Promise<ShakyFigures> {
  const conn = await connect(channel, Isolated)
  const [scope, other] = [conn.createScope(4096), conn.createScope(4096)]
  const { region: heap } = locationOf(conn.heap.new(Shaky, makeShaky(3) as never))
  // Objects made anew at the same places, so that there is always something to spoil. The second is passed as one that lies in no scope.
  const renewed = (): readonly object[] => {
    scope.reset()
    other.reset()
    const second = locationOf(other.new(Shaky, makeShaky(2) as never))
    return [scope.new(Shaky, makeShaky(1) as never), cellOf(Shaky).read(heap, second.region.lowOf(second.word), heap.high) as object]
  }
  renewed()
  const scribble = async (address: number, length: number): Promise<number> => {
    const child = spawn(await compiledProgram('test/hostile', 'scribbler'), [process.pid, address, length, ms, seed].map(String), { stdio: ['ignore', 'pipe', 'inherit'] })
    const [written] = await Promise.all([text(child.stdout), once(child, 'exit')])
    return Number(written.split(' ')[0])
  }
  const writing = Promise.all([scribble(scope.address, scope.usedBytes), scribble(other.address, other.usedBytes)])
  let over = false
  void writing.finally(() => (over = true))
  const figures = { answers: 0, errors: 0, unexpected: [] as string[] }
  const judge = async (call: Promise<number>): Promise<void> => {
    try {
      if (await call === 1) figures.answers++
      else figures.unexpected.push('the argument changed under its handler')
    } catch (error) {
      if (RpcError.is(error) && ['INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED'].includes(error.code)) figures.errors++
      else figures.unexpected.push(String(error))
    }
  }
  for (let i = 0; !over; i++) {
    let views: readonly object[]
    try {
      views = renewed()
    } catch (error) {
      // What it has just written is rewritten already.
      if (!RpcError.is(error)) throw error
      continue
    }
    const calls = [conn.sync, conn].flatMap((way) => views.flatMap((view) => [callOf(way, 'atOnce', view), callOf(way, 'later', view)]))
    await Promise.all(calls.map(judge))
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const [one, two] = await writing
  await conn.close()
  return { writes: one + two, ...figures, unexpected: figures.unexpected.slice(0, 5) }
}

type Way = Connection<typeof Isolated.methods> | Connection<typeof Isolated.methods>['sync']

async function callOf(way: Way, name: 'atOnce' | 'later', view: object): Promise<number> {
  return await way[name](view as never)
}

process.on('message', (message: { readonly id: number, readonly command: string }) => {
  void attack().then((result) => process.send!({ id: message.id, result }))
})
process.send!({ id: 0 })
