// Compiled handlers over a connection: a trap, a wild pointer and an endless loop are errors of their calls; others, of this client and of
// another one, are answered.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, method, ref, RpcError, serve, service, struct, u32 } from '../../src/index.js'
import { prepareWasm, WasmHandlers } from '../../src/safety/index.js'
import { compileAssemblyScript, SUM_SOURCE } from '../support/assembly.js'
import { errorOf } from '../support/ground.js'

const Link = struct('WasmLink', { id: u32, get next() { return ref(Link) } })
const FUNCTIONS = ['sum', 'forever', 'trap', 'peek', 'recurse'] as const
const Compiled = service('compiled', {
  run: method(1, struct('WasmCall', { what: u32, list: ref(Link) }), u32, { isolation: 'snapshot' }),
  open: method(2, Link, u32),
})

const SOURCE = `${SUM_SOURCE}
export function forever(at: usize, base: usize): i32 { while (true) {} return 0 }
export function trap(at: usize, base: usize): i32 { unreachable(); return 0 }
export function peek(at: usize, base: usize): i32 { return load<i32>(0xfffffff0) }
export function recurse(at: usize, base: usize): i32 { return recurse(at + 1, base) + 1 }
`

test('what a compiled handler does wrong is the error of its call', async () => {
  const prepared = await prepareWasm(await compileAssemblyScript(SOURCE))
  let handlers = await WasmHandlers.load(prepared, { steps: 200_000 })
  const failures: string[] = []
  const server = await serve(`wasm/${process.pid}`, Compiled, {
    run: (node, call) => Number(call.sandbox.runWasm(handlers, call.scope ?? node, FUNCTIONS[node.what]!, node.list!)),
    open: (list, call) => Number(call.sandbox.runWasm(handlers, call.scope ?? list, 'sum', list)),
  }, { onError: (error) => void failures.push(String(error)) })
  const [conn, other] = await Promise.all([connect(server.channel, Compiled), connect(server.channel, Compiled)])
  try {
    const list = { id: 1, next: { id: 20, next: { id: 300, next: null } } }
    const run = (name: (typeof FUNCTIONS)[number], by = conn): Promise<number> => by.run({ what: FUNCTIONS.indexOf(name), list })
    const outcome = (work: Promise<number>): Promise<string> => work.then(String, (error: unknown) => (RpcError.is(error) ? error.code : String(error)))
    for (let round = 0; round < 3; round++) {
      const said = await Promise.all([run('sum'), run('forever'), run('sum', other), run('trap'), run('peek'), run('recurse'), run('sum')].map(outcome))
      assert.deepEqual([said[0], said[2], said[6]], ['321', '321', '321'])
      assert.equal(said[1], 'RESOURCE_EXHAUSTED', 'an endless loop')
      for (const i of [3, 4, 5]) assert.ok(!['321', '0', 'UNAVAILABLE', 'DEADLINE_EXCEEDED'].includes(said[i]!) && /^[A-Z_]+$/.test(said[i]!), said[i])
    }
    // Where nothing is said about sizes, whatever a client can make can be run over, in a heap, a scope or by plain values.
    using scope = conn.createScope(4096)
    for (const one of [conn.heap.new(Link, list), conn.heap.copyFrom(conn.heap.new(Link, list)), scope.new(Link, list), list]) assert.equal(await conn.open(one), 321)
    await using wide = await connect(server.channel, Compiled, { heapBytes: 48 << 20 })
    const { code, sentence } = await errorOf(wide.open(wide.heap.new(Link, list)))
    assert.equal(code, 'RESOURCE_EXHAUSTED')
    const asked = Number(/load the module with \{ windowBytes: (\d+) \}.*createScope/.exec(sentence)?.[1])
    using apart = wide.createScope(4096)
    assert.equal(await wide.open(apart.new(Link, list)), 321, 'one remedy')
    handlers = await WasmHandlers.load(prepared, { steps: 200_000, windowBytes: asked })
    assert.equal(await wide.open(wide.heap.new(Link, list)), 321, 'the other')
    // Endless by its data: a list that bites its own tail.
    const [first, last] = [scope.new(Link, { id: 1, next: null }), scope.new(Link, { id: 2, next: null })]
    first.next = last
    last.next = first
    const call = scope.new(Compiled.methods.run.argument, { what: 0, list: first })
    assert.equal((await errorOf(conn.run(call))).code, 'RESOURCE_EXHAUSTED')
    assert.equal(await run('sum'), 321)
    assert.deepEqual(failures.filter((one) => !/^RpcError|^WildPointerError/.test(one)), [])
  } finally {
    await conn.close()
    await other.close()
    await server.close()
  }
})
