// What the packed library is expected to do everywhere, as its users write it: plain JavaScript over the public surface.
// Each feature gets the library (its ES module or CommonJS form) and throws when it does not work.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { definitions } from './definitions.mjs'

const IDLE_MS = 300

/** In the order in which they are run. A feature's name is what the table of exceptions and the README call it. */
export const features = {
  'call in one process': async (rpcool) => {
    await withServer(rpcool, 'smoke/one', async (conn) => {
      assert.equal(await conn.hello('x'), 'hello x')
    })
  },
  'struct as argument and result': async (rpcool) => {
    await withServer(rpcool, 'smoke/struct', async (conn) => {
      const answer = await conn.swap({ left: 1, right: 'two' })
      assert.equal(answer.left, 2)
      assert.equal(answer.right, 'two two')
    })
  },
  'many calls in flight': async (rpcool) => {
    await withServer(rpcool, 'smoke/many', async (conn) => {
      const names = Array.from({ length: 32 }, (_, index) => `n${index}`)
      assert.deepEqual(await Promise.all(names.map((name) => conn.hello(name))), names.map((name) => `hello ${name}`))
    })
  },
  'dispose by symbol': async (rpcool) => {
    const { Echo, handlers } = definitions(rpcool)
    const server = await rpcool.serve('smoke/dispose', Echo, handlers)
    const conn = await rpcool.connect('smoke/dispose', Echo)
    await conn[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    await assert.rejects(async () => await conn.hello('x'))
  },
  'using syntax': async (rpcool) => {
    const body = `await using server = await serve('smoke/using', Echo, handlers)
      await using conn = await connect('smoke/using', Echo)
      return await conn.hello('x')`
    const AsyncFunction = (async () => {}).constructor
    const { Echo, handlers } = definitions(rpcool)
    const answer = await new AsyncFunction('serve', 'connect', 'Echo', 'handlers', body)(rpcool.serve, rpcool.connect, Echo, handlers)
    assert.equal(answer, 'hello x')
  },
  'call between processes': async (rpcool) => {
    await withPeer(rpcool, 'smoke/peer', async (conn) => {
      assert.equal(await conn.hello('x'), 'hello x')
    })
  },
  'sync call between processes': async (rpcool) => {
    await withPeer(rpcool, 'smoke/sync', (conn) => {
      for (let turn = 0; turn < 100; turn++) assert.equal(conn.sync.hello(`${turn}`), `hello ${turn}`)
    })
  },
  'waking an idle server': async (rpcool) => {
    await withPeer(rpcool, 'smoke/idle', async (conn) => {
      for (let turn = 0; turn < 3; turn++) {
        await sleep(IDLE_MS)
        assert.equal(await conn.hello('x'), 'hello x')
      }
    })
  },
  'death of a peer': async (rpcool) => {
    await withPeer(rpcool, 'smoke/death', async (conn, peer) => {
      const stuck = conn.never('x')
      peer.kill('SIGKILL')
      await assert.rejects(stuck, (error) => rpcool.RpcError.is(error) && error.code === 'UNAVAILABLE')
    })
  },
  'client in a worker thread': async (rpcool) => {
    const { Echo, handlers } = definitions(rpcool)
    const server = await rpcool.serve('smoke/worker', Echo, handlers)
    const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData: 'smoke/worker' })
    const [answer] = await once(worker, 'message')
    assert.equal(answer, 'hello worker')
    await worker.terminate()
    await server.close()
  },
}

async function withServer(rpcool, channel, use) {
  const { Echo, handlers } = definitions(rpcool)
  const server = await rpcool.serve(channel, Echo, handlers)
  const conn = await rpcool.connect(channel, Echo)
  await use(conn)
  await conn.close()
  await server.close()
}

/** Runs a server in a process of its own, on the same runtime. */
async function withPeer(rpcool, channel, use) {
  const arguments_ = [...(globalThis.Deno === undefined ? [] : ['run', '-A']), fileURLToPath(new URL('peer.mjs', import.meta.url)), channel]
  const peer = spawn(process.execPath, arguments_, { stdio: ['pipe', 'pipe', 'inherit'] })
  try {
    await once(peer.stdout, 'data')
    const conn = await rpcool.connect(channel, definitions(rpcool).Echo)
    await use(conn, peer)
    await conn.close()
  } finally {
    peer.kill('SIGKILL')
  }
}
