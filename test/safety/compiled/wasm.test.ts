// Compiled handlers: confined to a copy or mapping of one region, by the processor; every escape, trap and endless loop is an error.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RpcError, WildPointerError } from '../../../src/base/errors.js'
import { makeAddress } from '../../../src/base/numbers.js'
import { addressOf } from '../../../src/objects/index.js'
import { prepareWasm, WasmHandlers } from '../../../src/safety/index.js'
import { hasCode, MIB } from '../../memory/model.js'
import { assemble, compileAssemblyScript, SUM_SOURCE } from '../../support/assembly.js'
import { type Ground, ground, setNext } from './ground.js'

// A Node: header, id at 4, native pointer at 8.
const SOURCE = `${SUM_SOURCE}
export function id(at: usize, base: usize): i32 { return load<i32>(at, 4) }
export function add(at: usize, base: usize, a: i32, b: f64): f64 { return load<i32>(at, 4) + a + b }
export function big(at: usize, base: usize, a: i64): i64 { return a + load<i32>(at, 4) }
export function put(at: usize, base: usize, value: i32): void { store<i32>(at, value, 4) }
export function peek(at: usize, base: usize, address: i32): i32 { return load<i32>(address) }
export function allocate(at: usize, base: usize, length: i32): i32 { return <i32>changetype<usize>(new ArrayBuffer(length)) }
export function leave(at: usize, base: usize, address: i32, value: i32): void { store<i32>(address, value) }
export function forever(at: usize, base: usize): void { while (true) {} }
export function recurse(at: usize, base: usize): i32 { return recurse(at + 1, base) + 1 }
export function fail(at: usize, base: usize): void { throw new Error('failed') }
export function text(at: usize, base: usize): u64 {
  const bytes = new Uint8Array(4)
  for (let i = 0; i < 4; i++) bytes[i] = <u8>(load<i32>(at, 4) + i)
  return (<u64>bytes.dataStart << 32) | 4
}
export function lies(at: usize, base: usize): u64 { return (<u64>0xfffffff0 << 32) | 0x100 }
export function pages(at: usize, base: usize): i32 { return memory.size() * 1000 + memory.grow(1000) }
`
const compiled = compileAssemblyScript(SOURCE).then(prepareWasm)
const MEMORY = '(import "env" "memory" (memory 1))'

test('native pointers are followed after one subtraction, over a copy and over a mapping', async (t) => {
  const { heap: { sandbox }, scopes, nodeIn } = ground(t)
  const handlers = await WasmHandlers.load(await compiled)
  for (const bytes of [4096, 200_000]) {
    const scope = scopes.create(bytes)
    const node = nodeIn(scope, 1, 20, 300)
    for (let i = 0; i < 5; i++) {
      assert.equal(sandbox.runWasm(handlers, scope, 'sum', node), 321)
      assert.equal(sandbox.runWasm(handlers, scope, 'sum', addressOf(node.next!)), 320)
    }
    assert.equal(sandbox.runWasm(handlers, scope, 'add', node, 5, 0.5), 6.5)
    assert.equal(sandbox.runWasm(handlers, scope, 'big', node, 2n ** 40n), 2n ** 40n + 1n)
    assert.deepEqual([...sandbox.runWasmBytes(handlers, scope, 'text', node.next!)], [20, 21, 22, 23])
    node.id = 7
    assert.equal(sandbox.runWasm(handlers, scope, 'sum', node), 327, 'what was stored meanwhile is seen by the next run')
  }
  assert.equal(handlers.cachedRegions, 2)
})

test('a kept region is the shared memory itself; the regions of others are never in reach', async (t) => {
  const { heap: { sandbox }, scopes, nodeIn } = ground(t)
  const handlers = await WasmHandlers.load(await compiled, { windowBytes: 4 * MIB })
  const made = Array.from({ length: 32 }, (_, i) => {
    const scope = scopes.create(4096)
    return { scope, node: nodeIn(scope, i) }
  })
  for (let round = 0; round < 6; round++) {
    for (const [i, { scope, node }] of made.entries()) assert.equal(sandbox.runWasm(handlers, scope, 'id', node), i)
  }
  assert.equal(handlers.cachedRegions, 14)
  sandbox.runWasm(handlers, made[0]!.scope, 'put', made[0]!.node, 4711)
  assert.equal(made[0]!.node.id, 4711)
  // Whatever address is tried, another scope's content is not there.
  const secret = made[1]!.node.id = 0x5ec2e7
  const { scope, node } = made[2]!
  for (let address = 0; address < 17 * 65_536 + (4 << 20); address += 4096) {
    const found = Number(sandbox.runWasm(handlers, scope, 'peek', node, address + 4))
    assert.notEqual(found, secret)
  }
})

test('wild pointers, in data and as arguments, are WildPointerErrors, and the next run is in order', async (t) => {
  const { heap: { sandbox }, scopes, nodeIn } = ground(t)
  const handlers = await WasmHandlers.load(await compiled, { windowBytes: 4 * MIB })
  const scope = scopes.create(4096)
  const other = scopes.create(4096)
  const node = nodeIn(scope, 1, 2)
  for (const address of [addressOf(nodeIn(other, 5)), 8, NaN, scope.address - 8, scope.address + 4096, makeAddress(1, 0)]) {
    assert.throws(() => sandbox.runWasm(handlers, scope, 'id', address), WildPointerError)
  }
  for (let i = 0; i < 6; i++) {
    setNext(node, scope.address + 64 * MIB)
    assert.throws(() => sandbox.runWasm(handlers, scope, 'sum', node), WildPointerError)
    setNext(node, 0)
    assert.equal(sandbox.runWasm(handlers, scope, 'sum', node), 1)
  }
  assert.throws(() => sandbox.runWasm(handlers, scope, 'peek', node, -4), WildPointerError)
  assert.throws(() => sandbox.runWasm(handlers, scope, 'recurse', node), RpcError)
  assert.throws(() => sandbox.runWasm(handlers, scope, 'fail', node), hasCode('INTERNAL'))
  assert.throws(() => sandbox.runWasm(handlers, scope, 'missing', node), hasCode('NOT_FOUND'))
  assert.throws(() => sandbox.runWasmBytes(handlers, scope, 'lies', node), WildPointerError)
  assert.throws(() => sandbox.runWasm(handlers, { address: scope.address, byteLength: 6 * MIB }, 'id', node), hasCode('RESOURCE_EXHAUSTED'))
  assert.equal(sandbox.runWasm(handlers, scope, 'id', node), 1)
})

test('an endless loop, in the code or by cyclic data, ends', async (t) => {
  const { heap: { sandbox }, scopes, nodeIn } = ground(t)
  const handlers = await WasmHandlers.load(await compiled, { steps: 100_000 })
  const scope = scopes.create(4096)
  const node = nodeIn(scope, 1, 2)
  assert.throws(() => sandbox.runWasm(handlers, scope, 'forever', node), hasCode('RESOURCE_EXHAUSTED'))
  setNext(node.next!, addressOf(node))
  assert.throws(() => sandbox.runWasm(handlers, scope, 'sum', node), hasCode('RESOURCE_EXHAUSTED'))
  setNext(node.next!, 0)
  assert.equal(sandbox.runWasm(handlers, scope, 'sum', node), 3)
})

test('the temporary heap is empty at each run, and bounded; the memory does not grow', async (t) => {
  const { heap: { sandbox }, scopes, nodeIn } = ground(t)
  const handlers = await WasmHandlers.load(await compiled, { heapBytes: 256 * 1024 })
  const scope = scopes.create(4096)
  const node = nodeIn(scope, 1)
  const first = sandbox.runWasm(handlers, scope, 'allocate', node, 100_000)
  for (let i = 0; i < 20; i++) assert.equal(sandbox.runWasm(handlers, scope, 'allocate', node, 100_000), first)
  assert.throws(() => sandbox.runWasm(handlers, scope, 'allocate', node, 400_000), RpcError)
  assert.equal(sandbox.runWasm(handlers, scope, 'pages', node), 1000 - 1, 'one page, and no thousand more')
  assert.equal(sandbox.runWasm(handlers, scope, 'allocate', node, 100_000), first)
})

test('what a run left in private memory, or in a longer region, is not there for another connection', async (t) => {
  const handlers = await WasmHandlers.load(await compiled)
  const places = [70_000, 1_000_000, (1 << 20) + 65_536 + 8000, (1 << 20) + 65_536 + 16_000]
  const [one, two, three] = [ground(t), ground(t), ground(t)]
  const use = ({ heap: { sandbox }, scopes, nodeIn }: Ground, bytes: number): (name: string, ...values: number[]) => unknown => {
    const scope = scopes.create(bytes)
    const node = nodeIn(scope, 1)
    return (name, ...values) => sandbox.runWasm(handlers, scope, name, node, ...values)
  }
  const long = use(one, 20_000)
  for (const address of places) long('leave', address, 0x5ec2e7)
  // There are two spare rooms: the third connection is given one that the first or the second was in.
  use(two, 20_000)('leave', places[0]!, 0x5ec2e7)
  const short = use(three, 4096)
  for (const address of places) assert.equal(short('peek', address), 0)
  assert.equal(handlers.cachedRegions, 2)
  one.heap.close()
  assert.equal(handlers.cachedRegions, 1, 'a region goes with its connection')
  assert.equal(short('id'), 1)
})

test('C\'s allocator is supplied; other imports, and memory that is not imported, are refused', async (t) => {
  const { heap: { sandbox }, scopes, nodeIn } = ground(t)
  const scope = scopes.create(4096)
  const node = nodeIn(scope, 9)
  const text = `(module (import "env" "memory" (memory 2))
    (import "env" "malloc" (func $malloc (param i32) (result i32))) (import "env" "calloc" (func $calloc (param i32 i32) (result i32)))
    (import "env" "realloc" (func $realloc (param i32 i32) (result i32))) (import "env" "free" (func $free (param i32)))
    (data (i32.const 16) "(memory.size) (memory.grow ")
    (func (export "run") (param i32 i32) (result i32) (local i32 i32)
      (local.set 2 (call $malloc (i32.const 10))) (i32.store (local.get 2) (i32.load offset=4 (local.get 0)))
      (local.set 3 (call $realloc (local.get 2) (i32.const 1000))) (call $free (local.get 2))
      (i32.add (i32.load (local.get 3)) (i32.load (call $calloc (i32.const 100) (i32.const 4)))))
    (func (export "where") (param i32 i32) (result i32) (call $malloc (i32.const 100)))
    (func (export "much") (param i32 i32 i32) (result i32) (call $malloc (local.get 2)))
    (func (export "many") (param i32 i32 i32) (result i32) (call $calloc (local.get 2) (local.get 2)))
    (func (export "byte") (param i32 i32 i32) (result i32) (i32.load8_u (local.get 2))))`
  const handlers = await WasmHandlers.load(assemble(text), { heapBytes: 65_536 })
  assert.equal(sandbox.runWasm(handlers, scope, 'run', node), 9)
  assert.equal(sandbox.runWasm(handlers, scope, 'where', node), 2 * 65_536 + 16)
  assert.equal(sandbox.runWasm(handlers, scope, 'where', node), 2 * 65_536 + 16)
  for (const bytes of [65_536, -1, 2 ** 31]) assert.equal(sandbox.runWasm(handlers, scope, 'much', node, bytes), 0)
  for (const count of [256, 65_536, 65_537, -1]) assert.equal(sandbox.runWasm(handlers, scope, 'many', node, count), 0)
  const data = Array.from({ length: 13 }, (_, i) => String.fromCharCode(Number(sandbox.runWasm(handlers, scope, 'byte', node, 16 + i)))).join('')
  assert.equal(data, '(memory.size)', 'data are no instructions')

  const refused = [
    '(module (memory 1))', '(module (import "env" "memory" (memory 1)) (import "env" "print" (func (param i32))))',
    '(module (import "env" "memory" (memory 1)) (import "env" "malloc" (func $m (param i64) (result i64))) (func (export "f") (drop (call $m (i64.const 1)))))',
    '(module (import "env" "memory" (memory 1)) (import "env" "g" (global i32)))',
    '(module (import "env" "memory" (memory 1 2)))',
    '(module (import "env" "memory" (memory 1)) (func $s (unreachable)) (start $s))',
    '(module (import "env" "memory" (memory 1)) (func $s (loop (br 0))) (start $s))',
  ]
  for (const source of refused) await assert.rejects(WasmHandlers.load(assemble(source)), hasCode('INVALID_ARGUMENT'), source)
  await assert.rejects(WasmHandlers.load(new Uint8Array([1, 2, 3])), hasCode('INVALID_ARGUMENT'))
  for (const options of [{ steps: 0 }, { steps: 2 ** 31 }, { windowBytes: 1 }, { heapBytes: -1 }, { cached: 100 }]) {
    await assert.rejects(WasmHandlers.load(await compiled, options), hasCode('INVALID_ARGUMENT'))
  }
})

test('a loop that fills or copies memory ends as soon as one that does not', async (t) => {
  const { heap: { sandbox }, scopes, nodeIn } = ground(t)
  const scope = scopes.create(4096)
  const node = nodeIn(scope, 1)
  // So few that each turn of these loops would take far longer than all steps may.
  const steps = 200
  const length = 30_000_000
  const endless = (instruction: string): string => `(loop $again ${instruction} (br $again))`
  const handlers = await WasmHandlers.load(assemble(`(module ${MEMORY} (data $text "0123456789abcdef0123456789abcdef")
    (func (export "fill") (param i32 i32) ${endless(`(memory.fill (i32.const 100000) (i32.const 1) (i32.const ${length}))`)})
    (func (export "copy") (param i32 i32) ${endless(`(memory.copy (i32.const 100000) (i32.const 100008) (i32.const ${length}))`)})
    (func (export "few") (param i32 i32) (result i32)
      (memory.init $text (i32.const 64) (i32.const 0) (i32.const 32)) (memory.copy (i32.const 128) (i32.const 64) (i32.const 32)) (memory.fill (i32.const 128) (i32.const 0x62) (i32.const 1))
      (i32.load (i32.const 128))))`), { steps })
  for (const name of ['fill', 'copy']) {
    const start = performance.now()
    assert.throws(() => sandbox.runWasm(handlers, scope, name, node), hasCode('RESOURCE_EXHAUSTED'))
    assert.ok(performance.now() - start < 1000, `${name} has gone on for ${performance.now() - start} ms`)
  }
  assert.equal(sandbox.runWasm(handlers, scope, 'few', node), 0x33323162, 'each does what it did')
})

test('modules that take memory which nobody counts are refused; null functions are none of them', async (t) => {
  const refused = [
    `(module ${MEMORY} (table 9000000 funcref))`,
    `(module ${MEMORY} (table 200000 funcref) (table 200000 funcref))`,
    `(module ${MEMORY} (table $"a 1 table" 9000000 funcref))`,
    `(module ${MEMORY} (table $t 1 funcref) (func $f (export "f") (param i32 i32) (drop (table.grow $t (ref.func $f) (i32.const 100000)))))`,
    `(module ${MEMORY} (table $t 9 funcref) (func $f (export "f") (param i32 i32) (table.fill $t (i32.const 0) (ref.func $f) (i32.const 9))))`,
    `(module ${MEMORY} (table $t 9 funcref) (func $f (export "f") (param i32 i32) (table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 9))))`,
  ]
  for (const text of refused) await assert.rejects(prepareWasm(assemble(text, true)), hasCode('INVALID_ARGUMENT'), text)
  const { heap: { sandbox }, scopes, nodeIn } = ground(t)
  const scope = scopes.create(4096)
  const text = `(module ${MEMORY} (table $t 1 funcref) (func (export "f") (param i32 i32) (result i32) (table.set $t (i32.const 0) (ref.null func)) (ref.is_null (table.get $t (i32.const 0)))))`
  const handlers = await WasmHandlers.load(assemble(text))
  assert.equal(sandbox.runWasm(handlers, scope, 'f', nodeIn(scope, 1)), 1)
})

test('names of a module are no instructions, whatever they hold', async (t) => {
  const { heap: { sandbox }, scopes, nodeIn } = ground(t)
  const scope = scopes.create(4096)
  const handlers = await WasmHandlers.load(assemble(`(module ${MEMORY} (data $"a (memory.size) text" "0123") (func $"grow(table.grow t)" (export "(memory.size)") (param i32 i32) (result i32)
    (memory.init $"a (memory.size) text" (i32.const 64) (i32.const 0) (i32.const 4)) (i32.load (i32.const 64))))`, true))
  assert.equal(sandbox.runWasm(handlers, scope, '(memory.size)', nodeIn(scope, 1)), 0x33323130)
})
