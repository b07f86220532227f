// A native client of another user than its server, the daemon and the sealer, whose threads store to sealed pages all the time and whose requests
// lie: no handler sees its argument change. The connection itself is made by its parent: the daemon serves its own user only.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { DaemonClient, runtimeDirectory } from '../../../src/control/index.js'
import { sealerSocket } from '../../../src/control/place/runtime-directory.js'
import { method, serve, type ServerCall, service, struct, u32, type View } from '../../../src/index.js'
import { locationOf } from '../../../src/objects/index.js'
import { SEALER_VERSION } from '../../../src/safety/seals/messages.js'
import { addon } from '../../../src/sys/index.js'
import { Ground } from '../../support/ground.js'
import { newSeed } from '../../support/random.js'
import { serviceProcess } from '../../safety/seals/services.js'
import { asAttacker, isRoot, openToAttackers } from '../seals/attack.js'

const MS = 2000
const FIELDS = 64
/** Its head, its fields, and what makes it end at a multiple of eight bytes. */
const FLAT_WORDS = 66
const names = Array.from({ length: FIELDS }, (_, i) => `field${i}`)
const Flat = struct('AttackedFlat', Object.fromEntries(names.map((name) => [name, u32])))
type Flat = View<typeof Flat>

const Attacked = service('attacked natively', {
  atOnce: method(1, Flat, u32, { isolation: 'seal' }),
  later: method(2, Flat, u32, { isolation: 'seal' }),
  auto: method(3, Flat, u32, { isolation: 'auto' }),
  /** What shows that the stores are there to be seen. */
  open: method(4, Flat, u32),
})

interface Figures {
  readonly seals: number
  readonly good: number
  readonly errors: number
  /** Releases that were refused because the call was not complete. */
  readonly early: number
  readonly stores: number
  readonly uid: number
}

function compile(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-calls-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  const sources = fileURLToPath(new URL('../../../../test/hostile/', import.meta.url))
  const binary = join(folder, 'attacker')
  execFileSync('gcc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-pthread', `-DSEALER_VERSION=${SEALER_VERSION}`, '-o', binary,
    join(sources, 'calls/attacker.c'), join(sources, 'seals/protocol.c')])
  return binary
}

const read = (node: Flat): string => names.map((name) => String(Reflect.get(node, name))).join()

test('a native client that stores to its sealed arguments by four threads, and lies, changes none under its handler', async (t) => {
  openToAttackers()
  await using ground = await Ground.open(t)
  const binary = compile(t)
  const served = new Map<string, number>()
  const seen = new Set<string>()
  const changed: string[] = []
  let unprotected = 0
  const failures: string[] = []
  const judge = (call: ServerCall, before: string, after: string): number => {
    served.set(call.isolation, (served.get(call.isolation) ?? 0) + 1)
    if (seen.size < 10_000) seen.add(before)
    if (before !== after) changed.push(`${call.isolation} ${call.method}`)
    return before === after ? 1 : 0
  }
  const atOnce = (node: Flat, call: ServerCall): number => judge(call, read(node), read(node))
  const server = await serve(ground.channel, Attacked, {
    atOnce, auto: atOnce,
    open: async (node) => {
      const before = read(node)
      for (let i = 0; i < 5; i++) await turn()
      if (before !== read(node)) unprotected++
      return 1
    },
    later: async (node, call) => {
      const before = read(node)
      for (let i = 0; i < 5; i++) await turn()
      return judge(call, before, read(node))
    },
  }, { onError: (error) => void failures.push(String(error)) })
  try {
    const good = await ground.connectTo(Attacked)
    const sealer = serviceProcess('sealer')
    // Its control region comes with a descriptor, which the library closes.
    const daemon = DaemonClient.shared()
    const open = daemon.openConnection.bind(daemon)
    let control = -1
    daemon.openConnection = async (...args): ReturnType<typeof open> => {
      const opened = await open(...args)
      control = addon.duplicateFd(opened.control.fd)
      return opened
    }
    const conn = await ground.connectTo(Attacked, { slots: 16, heapBytes: 1 << 20, seals: { backend: 'none' } })
    daemon.openConnection = open
    const pages = await daemon.growConnection(conn.opened, 16 * 4096, 'sealable')
    const flat = locationOf(conn.heap.new(Flat, Object.fromEntries(names.map((name) => [name, 1]))))
    const image = Buffer.from(new Uint8Array(flat.region.i32.slice(flat.word, flat.word + FLAT_WORDS).buffer)).toString('hex')
    const { fd } = Reflect.get(conn.end, 'doorbell') as { readonly fd: number }
    const seed = newSeed()
    t.diagnostic(`RPCOOL_SEED=${seed}`)
    const [program, args] = asAttacker([binary, sealerSocket(runtimeDirectory()), conn.opened.token, String(pages.address), String(pages.byteLength), image, String(seed), String(MS)])
    const attacker = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit', pages.fd, control, fd] })
    const ended = once(attacker, 'exit')
    const lines = createInterface(attacker.stdout!)[Symbol.asyncIterator]()
    ground.waitsFor = `the attacker (seed ${seed})`
    try {
      assert.equal((await lines.next()).value, 'attached')
      await ground.until('the server to attach', () => conn.end.sealState === 1)
      let over = false
      const attack = lines.next().finally(() => (over = true))
      attacker.stdin!.write('go\n')
      let rounds = 0
      const value = Object.fromEntries(names.map((name) => [name, 7]))
      for (; !over; rounds++) {
        assert.equal(await good.later(value), 1)
        await turn()
      }
      const figures = JSON.parse(String((await attack).value)) as Figures
      t.diagnostic(`${JSON.stringify(figures)}, ${[...served].map(([how, count]) => `${how} ${count}`).join(', ')}, ${seen.size} different arguments, ${unprotected} unprotected ones changed, ${rounds} calls of the good client`)
      assert.deepEqual(changed, [])
      assert.deepEqual(failures.filter((one) => !one.startsWith('RpcError')), [])
      assert.ok(figures.good > 20 && figures.errors > 5 && figures.early > 5 && figures.stores > 1e6 && rounds > 10, JSON.stringify(figures))
      assert.ok(served.get('seal')! > 20 && seen.size > 5 && unprotected > 0, 'what is stored is seen where nothing is sealed')
      if (isRoot) assert.notEqual(figures.uid, process.getuid?.())
      assert.equal(serviceProcess('sealer'), sealer, 'the sealer lives')
    } finally {
      attacker.kill('SIGKILL')
      await ended
      addon.closeFd(control)
      pages.close()
      daemon.releaseHeap(pages)
    }
    await conn.close()
    await ground.until('its connection to go', () => server.connectionCount === 1)
  } finally {
    await server.close()
  }
})
