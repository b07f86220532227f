import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root, workingFiles } from '../tree/sources.js'
import { type Ended, run, Running } from './programs.js'

const printed = (...lines: readonly string[]): Ended => ({ stdout: lines.map((line) => `${line}\n`).join(''), stderr: '', code: 0 })

/** Each example stands once with `using`, and once as it is written for Node 20 and 22. */
const FORMS = ['', '-without-using']

for (const [form, other] of [FORMS, FORMS.toReversed()]) {
  test(`ping-pong${form}: the paper's own interface between two processes`, async () => {
    await using server = new Running(`ping-pong/server${form}.ts`)
    assert.deepEqual(await onceServed(`ping-pong/client${form}.ts`), printed('sent ping, received pong'))
    assert.deepEqual(await server.ended(), printed('received ping', 'the client has gone'))
  })

  test(`timeline${form}: a typed service between two processes`, async () => {
    await using server = new Running(`timeline/server${form}.ts`)
    await server.spoken()
    const client = await run(`timeline/client${form}.ts`)
    assert.deepEqual(client, printed('grace: No bytes were serialized. (2)', 'ada: Hello, shared memory! (1)'))
    assert.deepEqual(await server.stop(), printed('serving demo/timeline'))
  })

  test(`catalogue${form}: writers in several processes, and readers of what is published`, async () => {
    await using server = new Running(`catalogue/server${form}.ts`)
    await server.spoken()
    const writers = await Promise.all(FORMS.map((one) => run(`catalogue/client${one}.ts`)))
    const said = (name: string): Ended => printed(`${name}: No. 2 for 20, No. 3 for 30`, 'Everything must go: FAILED_PRECONDITION')
    assert.deepEqual(writers, [said('ada'), said('bob')])
    assert.deepEqual(await server.stop(), printed('serving demo/catalogue', '200 products, the cheapest is ada-1'))
  })

  test(`enforced${form}: a server that demands seals which its clients cannot undo`, async () => {
    await using server = new Running(`enforced/server${form}.ts`)
    await server.spoken()
    const [ordinary, launched] = await Promise.all([
      run(`enforced/client${other}.ts`),
      run(`enforced/client${form}.ts`, [process.execPath, join(root, 'dist/esm/cli/rpcool.js'), 'run', '--']),
    ])
    assert.deepEqual(ordinary, printed('seals: none', 'FAILED_PRECONDITION'))
    if (process.geteuid?.() === 0) assert.deepEqual(launched, printed('seals: enforced except [same-user]', '5 booked for ada'))
    else assert.match(launched.stderr, /cannot be started confined.*userfaultfd/)
    assert.deepEqual(await server.stop(), printed('serving demo/bank'))
  })
}

test('every program with `using` has a second form without, and nothing else has', () => {
  const paths = workingFiles().filter((path) => /^examples\/.*\.ts$/.test(path)).toSorted()
  const uses = (path: string): boolean => /^\s*(await )?using /m.test(readFileSync(join(root, path), 'utf8'))
  const secondForms = paths.filter((path) => path.endsWith('-without-using.ts'))
  assert.deepEqual(secondForms, paths.filter(uses).map((path) => path.replace('.ts', '-without-using.ts')).toSorted())
})

test('README shows the programs that run', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  for (const name of ['service', 'server', 'client']) {
    const [, shown] = readFileSync(join(root, `examples/timeline/${name}.ts`), 'utf8').split(/^(?:\/\/.*\n)+/)
    assert.ok(readme.includes(`\`\`\`ts\n${shown!.trim()}\n\`\`\``), `examples/timeline/${name}.ts, without its first lines of comment, is not in README.md`)
  }
})

test('worker-threads: a worker serves, the main thread calls', async () => {
  await assertBothPrint('worker-threads/main', 'zeros: 3', 'the worker has ended')
})

test('deadlines: calls that end in time, too late, and not at all', async () => {
  await assertBothPrint('deadlines/main', 'dinner is ready', 'DEADLINE_EXCEEDED', 'CANCELLED')
})

test('json: documents that both ends read and change', async () => {
  await assertBothPrint('json/main', 'Ada: book, pen', 'id,customer,items,paid true { name: \'Ada\', city: \'Paris\' }', '2', 'first {"name":"Bob","city":"Oslo"} 7')
})

test('isolation: an argument that its client changes while the handler works', async () => {
  await assertBothPrint('isolation/main', 'careless: checked 20, charged 1', 'careful: checked 20, charged 20', 'checked 30, charged 30',
    'ledger: the client cannot write', 'ledger: checked 40, charged 40, sealed: true')
})

test('sandbox: code over shared pointers that reaches one scope, in TypeScript and compiled', async () => {
  await assertBothPrint('sandbox/main', 'TypeScript: 6', 'WebAssembly: 6', 'endless: RESOURCE_EXHAUSTED')
})

/** Runs a client whose server says nothing when it is ready: a client that was too early tries again, as a person would. */
async function onceServed(client: string): Promise<Ended> {
  for (;;) {
    const ended = await run(client)
    if (!ended.stderr.includes('NOT_FOUND')) return ended
  }
}

/** Runs both forms of a program. The second finds the channels free, and the process ends by itself: both have closed what they opened. */
async function assertBothPrint(program: string, ...lines: readonly string[]): Promise<void> {
  assert.deepEqual(await run(FORMS.map((form) => `${program}${form}.ts`)), printed(...lines, ...lines))
}
