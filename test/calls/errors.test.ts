// What a call that fails tells its caller, and what a server says of its own mistakes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, json, list, method, nothing, plain, Rpc, RpcError, serve, service, type Service, shared, sortedMap, Status, type StatusName, struct, text, u32, WasmHandlers } from '../../src/index.js'
import { locationOf } from '../../src/objects/index.js'
import { Everything, everyHandler, Gates } from '../support/everything.js'
import { errorOf, Ground } from '../support/ground.js'

test('the status codes are the sixteen of gRPC, and OK', () => {
  assert.deepEqual(Object.entries(Status), [
    ['OK', 0], ['CANCELLED', 1], ['UNKNOWN', 2], ['INVALID_ARGUMENT', 3], ['DEADLINE_EXCEEDED', 4], ['NOT_FOUND', 5], ['ALREADY_EXISTS', 6],
    ['PERMISSION_DENIED', 7], ['RESOURCE_EXHAUSTED', 8], ['FAILED_PRECONDITION', 9], ['ABORTED', 10], ['OUT_OF_RANGE', 11], ['UNIMPLEMENTED', 12],
    ['INTERNAL', 13], ['UNAVAILABLE', 14], ['DATA_LOSS', 15], ['UNAUTHENTICATED', 16],
  ])
})

test('a handler answers with any status, by throwing an RpcError', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  for (const code of Object.keys(Status) as StatusName[]) {
    if (code === 'OK') continue
    const failure = { code, message: `because of ${code}, which is a reason that takes more than a cell` }
    for (const call of [() => conn.sync.fail(failure), () => conn.fail(failure)]) {
      const error = await errorOf(call)
      assert.deepEqual([error.code, error.status, error.sentence, error.method, error.channel], [code, Status[code], failure.message, 'fail', ground.channel])
    }
  }
  assert.deepEqual((await ground.info(server)).errors, [], 'an answer is no mistake of the server')
})

test('an error names channel and method in its message and its stack, and the stack names the caller', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  async function theCaller(): Promise<void> {
    await conn.fail({ code: 'ABORTED', message: 'no' })
  }
  function theSyncCaller(): void {
    conn.sync.fail({ code: 'ABORTED', message: 'no' })
  }
  for (const call of [theCaller, theSyncCaller]) {
    const error = await errorOf(call)
    const where = `[${ground.channel}#fail]`
    assert.ok(error.message.includes(where), error.message)
    assert.ok(error.stack?.includes(where))
  }
  assert.match((await errorOf(theSyncCaller)).stack ?? '', /theSyncCaller/)
  async function whoConnects(): Promise<void> {
    await connect(`${ground.channel}/none`, Everything)
  }
  async function whoServes(): Promise<void> {
    await serve(ground.channel, service('x', {}), {})
  }
  for (const [start, code] of [[whoConnects, 'NOT_FOUND'], [whoServes, 'ALREADY_EXISTS']] as const) {
    const { stack = '' } = await errorOf(start)
    assert.match(stack, new RegExp(`^RpcError: ${code}: .*\\n[^]*at async ${start.name}`))
  }
})

test('what else a handler throws is UNKNOWN to the client, and told to the server', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  for (const call of [() => conn.sync.failOrdinary('a mistake in the handler'), () => conn.failOrdinary('a mistake in the handler')]) {
    const error = await errorOf(call)
    assert.equal(error.code, 'UNKNOWN')
    assert.equal(error.sentence, 'a mistake in the handler')
  }
  assert.deepEqual((await ground.info(server)).errors, Array.from({ length: 2 }, () => 'failOrdinary: a mistake in the handler'))
})

test('a handler may throw anything at all', async (t) => {
  await using ground = await Ground.open(t)
  const server = await ground.serve()
  const conn = await ground.connect()
  for (const how of ['null', 'undefined', 'object', 'number', 'status']) {
    const error = await errorOf(conn.failStrangely(how, { timeoutMs: 5000 }))
    assert.ok(['UNKNOWN', 'INTERNAL'].includes(error.code), `${how}: ${error.message}`)
  }
  assert.deepEqual((await ground.info(server)).errors.map((error) => error.split(':')[0]), Array.from({ length: 5 }, () => 'failStrangely'))
  assert.equal(conn.sync.nothing(), undefined)
})

test('a message of any length arrives, cut to a sensible one', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const error = await errorOf(conn.failOrdinary('ü'.repeat(1_000_000)))
  assert.match(error.sentence, /^ü{1000,3000}$/)
  assert.equal((await errorOf(conn.fail({ code: 'ABORTED', message: '' }))).code, 'ABORTED')
})

test('a result that is not what the method promises is the server\'s mistake, told to both', async (t) => {
  await using ground = await Ground.open(t)
  const errors: string[] = []
  const Wrong = service('wrong', { count: method(1, nothing, u32), name: method(2, nothing, text) })
  ground.owns(await serve(ground.channel, Wrong, { count: () => 'three' as unknown as number, name: () => 3 as unknown as string }, {
    onError: (error, name) => errors.push(`${name}: ${(error as Error).message}`),
  }))
  const conn = await ground.connectTo(Wrong)
  const sentences: string[] = []
  for (const call of [conn.count(), conn.name()]) {
    const error = await errorOf(call)
    assert.equal(error.code, 'INTERNAL')
    assert.match(error.sentence, /^the handler's result does not fit its type: /)
    sentences.push(error.sentence)
  }
  assert.deepEqual(errors, [`count: INTERNAL: ${sentences[0]}`, `name: INTERNAL: ${sentences[1]}`])
})

test('names: unknown channels, taken ones, bad ones', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const missing = await errorOf(connect(`${ground.channel}x`, Everything))
  assert.equal(missing.code, 'NOT_FOUND')
  assert.ok(missing.message.includes(ground.channel), `it names what is similar: ${missing.message}`)
  const taken = await errorOf(serve(ground.channel, Everything, everyHandler(new Gates())))
  assert.equal(taken.code, 'ALREADY_EXISTS')
  for (const bad of ['', '/', 'a//b', 'a b', '../x', 'x'.repeat(300), 'a/\0']) {
    assert.equal((await errorOf(connect(bad, Everything))).code, 'INVALID_ARGUMENT', JSON.stringify(bad))
    assert.equal((await errorOf(serve(bad, Everything, everyHandler(new Gates())))).code, 'INVALID_ARGUMENT', JSON.stringify(bad))
  }
})

test('services and methods are checked where they are declared', async (t) => {
  await using ground = await Ground.open(t)
  const codes = [
    await errorOf(() => service('', {})), await errorOf(() => service('x', { a: method(1, nothing, nothing), b: method(1, nothing, nothing) })),
    await errorOf(() => service('x', { sync: method(1, nothing, nothing) })), await errorOf(() => method(-1, nothing, nothing)),
    await errorOf(() => method(1.5, nothing, nothing)), await errorOf(() => method(2 ** 32, nothing, nothing)),
    await errorOf(serve(ground.channel, Everything, {} as ReturnType<typeof everyHandler>)),
    await errorOf(serve(ground.channel, Everything, { ...everyHandler(new Gates()), more: () => undefined } as ReturnType<typeof everyHandler>)),
    await errorOf(connect(ground.channel, Everything, { slots: 3 })), await errorOf(connect(ground.channel, Everything, { waiting: 'x' as 'spin' })),
  ]
  for (const error of codes) assert.equal(error.code, 'INVALID_ARGUMENT', error.message)
})

test('an option that does not exist is refused where it is given, and the existing ones are named', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const bad = (option: object): never => ({ ...option }) as never
  const conn = await ground.connect()
  const post = conn.heap.new(list(u32), [1])
  assert.deepEqual([post].map(plain as (value: unknown) => unknown), [[1]], 'the index is no option')
  const attempts: Readonly<Record<string, () => unknown>> = {
    heapbytes: () => connect(ground.channel, Everything, bad({ heapbytes: 1 })),
    snapshotbytes: () => serve(`${ground.channel}/x`, service('x', {}), {}, bad({ snapshotbytes: 1 })),
    heapByte: () => connect(ground.channel, Everything, { seals: bad({ heapByte: 1 }) }),
    required: () => serve(`${ground.channel}/x`, service('x', {}), {}, { seals: bad({ required: 'enforced' }) }),
    isolated: () => method(1, text, text, bad({ isolated: 'snapshot' })),
    release: () => conn.createScopePool(bad({ scopeBytes: 4096, count: 1, release: 1 })),
    wait: () => new Rpc(bad({ wait: 'spin' })),
    timeout: () => conn.number(1, bad({ timeout: 1 })),
    maxNode: () => plain(post, bad({ maxNode: 1 })),
    maxByte: () => conn.heap.copyFrom(post, bad({ maxByte: 1 })),
    dep: () => conn.heap.free(post, bad({ dep: true })),
    step: () => WasmHandlers.load(new Uint8Array(), bad({ step: 1 })),
    waitMs: () => conn.heap.new(struct('Kept', { kept: shared(list(u32)) }), { kept: [] }).kept.write(() => undefined, bad({ waitMs: 1 })),
    form: () => conn.heap.new(sortedMap(u32, u32), []).values(bad({ form: 1 })),
  }
  for (const [name, attempt] of Object.entries(attempts)) {
    const error = await errorOf(attempt)
    assert.equal(error.code, 'INVALID_ARGUMENT')
    assert.match(error.message, new RegExp(`has no option "${name}"; there are `))
  }
  assert.match((await errorOf(() => connect(ground.channel, Everything, null as never))).message, /as an object/)
})

test('a value that makes no sense for its option is refused by the option\'s name, and nothing is served or connected', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const conn = await ground.connect()
  const bad = (option: object): never => ({ ...option }) as never
  const served = [
    { sharedHeapBytes: -1 }, { sharedHeapBytes: NaN }, { publishedHeapBytes: 2 ** 33 }, { publishedHeapBytes: '1' }, { maxConnections: 0 }, { snapshotBytes: -1 },
    { hugePages: 'yes' }, { onError: 5 }, { onConnection: {} },
  ].map((options) => [Object.keys(options)[0], () => serve(`${ground.channel}/x`, service('x', {}), {}, bad(options))] as const)
  const connected = [
    { heapBytes: 0 }, { heapBytes: '32' }, { heapBytes: 2 ** 33 }, { hugePages: 1 }, { isolateResults: 'yes' }, { waitForReady: 1 }, { timeoutMs: NaN },
  ].map((options) => [Object.keys(options)[0], () => connect(ground.channel, Everything, bad(options))] as const)
  const grown = [undefined, NaN, 0, 2 ** 33].map((bytes) => ['bytes to grow by', () => conn.grow(bytes as number)] as const)
  for (const [name, attempt] of [...served, ...connected, ...grown]) {
    const error = await errorOf(attempt)
    assert.equal(error.code, 'INVALID_ARGUMENT')
    assert.match(error.message, new RegExp(`^INVALID_ARGUMENT: ${name} must be `))
  }
})

test('method numbers up to 2^32 - 2', async (t) => {
  await using ground = await Ground.open(t)
  const Wide = service('wide', { zero: method(0, nothing, u32), middle: method(2 ** 31, nothing, u32), last: method(2 ** 32 - 2, nothing, u32) })
  ground.owns(await serve(ground.channel, Wide, { zero: () => 1, middle: () => 2, last: () => 3 }))
  const conn = await ground.connectTo(Wide)
  assert.deepEqual([await conn.zero(), await conn.middle(), await conn.last()], [1, 2, 3])
})

const Old = struct('Old', { a: u32 })
const New = struct('Old', { a: u32, b: text })
const Other = struct('Old', { a: text })

test('a service that has more methods, or structs with more fields, fits an older one, both ways', async (t) => {
  await using ground = await Ground.open(t)
  const older = service('evolving', { one: method(1, Old, Old) })
  const newer = service('evolving', { one: method(1, New, New), two: method(2, nothing, u32) })
  const oldServer = ground.owns(await serve(ground.channel, older, { one: ({ a }) => ({ a: a + 1 }) }))
  const newClient = await ground.connectTo(newer)
  const answer = await newClient.one({ a: 1, b: 'not known there' })
  assert.deepEqual([answer.a, answer.b], [2, ''])
  assert.equal((await errorOf(newClient.two())).code, 'UNIMPLEMENTED')
  await newClient.close()
  await oldServer.close()
  ground.owns(await serve(ground.channel, newer, { one: ({ a, b }) => ({ a: a + b.length + 1, b: 'new' }), two: () => 2 }))
  const oldClient = await ground.connectTo(older)
  assert.equal((await oldClient.one({ a: 1 })).a, 2)
})

test('any other difference between services is refused at connect, and named', async (t) => {
  await using ground = await Ground.open(t)
  ground.owns(await serve(ground.channel, service('evolving', { one: method(1, Old, Old) }), { one: ({ a }) => ({ a }) }))
  const others = [
    [service('another', { one: method(1, Old, Old) }), /another/], [service('evolving', { uno: method(1, Old, Old) }), /uno/],
    [service('evolving', { one: method(1, Other, Old) }), /argument of one.*\ba\b/s], [service('evolving', { one: method(1, Old, Other) }), /result of one.*\ba\b/s],
    [service('evolving', { one: method(1, u32, Old) }), /argument of one/],
  ] as const
  for (const [other, message] of others) {
    const error = await errorOf(connect(ground.channel, other as Service))
    assert.equal(error.code, 'FAILED_PRECONDITION')
    assert.match(error.message, message)
  }
})

test('RpcError.is knows the errors of calls, and nothing else', () => {
  assert.ok(RpcError.is(new RpcError('ABORTED', 'x')))
  for (const value of [null, undefined, 1, {}, new Error('x')]) assert.ok(!RpcError.is(value))
})

test('a handler that gives back a spoiled document, or a result that cannot be looked at, ends one call and not the server', async (t) => {
  await using ground = await Ground.open(t)
  const Spoiled = service('spoiled', { echo: method(1, json, json), odd: method(2, nothing, u32) })
  ground.owns(await serve(ground.channel, Spoiled, {
    echo: (document) => document,
    odd: () => new Proxy({}, { has: () => { throw new Error('no looking for then here') } }) as never,
  }, { onError: () => undefined }))
  const conn = await ground.connectTo(Spoiled)
  const document = conn.heap.json({ inner: { a: 1, b: 2 }, c: 'long enough to lie outside of its cell' })
  const { region, word } = locationOf(document)
  for (let at = word; at < word + 8; at++) {
    const kept = region.i32[at]!
    for (const wild of [0x7fff_fff0, -16, 1]) {
      region.i32[at] = wild
      // A wrong value or an error, whichever it is.
      await conn.echo(document as never).catch((error: unknown) => assert.ok(RpcError.is(error), String(error)))
    }
    region.i32[at] = kept
  }
  assert.equal((await errorOf(conn.odd())).code, 'UNKNOWN')
  assert.equal(JSON.stringify(await conn.echo(document as never)), JSON.stringify(document))
})

test('a getter of an argument of any length that closes the connection makes its call fail with CANCELLED', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  for (const count of [10, 30_000]) {
    for (const how of ['sync', 'async'] as const) {
      const conn = await ground.connect()
      const blob = new Uint8Array(3)
      const bag: Parameters<typeof conn.bag>[0] = {
        words: Array.from({ length: count }, (_, i) => `word number ${i}`), counts: new Map(), blob, note: undefined, grid: [1, 2, 3, 4], shape: { kind: 'circle', value: 1 }, on: true,
      }
      Object.defineProperty(bag, 'blob', { enumerable: true, get: () => (void conn.close(), blob) })
      assert.equal((await errorOf(how === 'sync' ? () => conn.sync.bag(bag) : conn.bag(bag))).code, 'CANCELLED', `${how} with ${count} texts`)
    }
  }
})
