import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../tree/sources.js'
import { type Ended, run, Running } from './programs.js'

const printed = (...lines: readonly string[]): Ended => ({ stdout: lines.map((line) => `${line}\n`).join(''), stderr: '', code: 0 })

for (const variant of ['', '-without-using']) {
  test(`ping-pong${variant}: the paper's own interface between two processes`, async () => {
    await using server = new Running(`ping-pong/server${variant}.ts`)
    assert.deepEqual(await onceServed(`ping-pong/client${variant}.ts`), printed('sent ping, received pong'))
    assert.deepEqual(await server.ended(), printed('received ping', 'the client has gone'))
  })

  test(`timeline${variant}: a typed service between two processes`, async () => {
    await using server = new Running(`timeline/server${variant}.ts`)
    await server.spoken()
    const client = await run(`timeline/client${variant}.ts`)
    assert.deepEqual(client, printed('grace: No bytes were serialized. (2)', 'ada: Hello, shared memory! (1)'))
    assert.deepEqual(await server.stop(), printed('serving demo/timeline'))
  })
}

test('README shows the programs that run', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  for (const name of ['service', 'server', 'client']) {
    const [, shown] = readFileSync(join(root, `examples/timeline/${name}.ts`), 'utf8').split(/^(?:\/\/.*\n)+/)
    assert.ok(readme.includes(`\`\`\`ts\n${shown!.trim()}\n\`\`\``), `examples/timeline/${name}.ts, without its first lines of comment, is not in README.md`)
  }
})

test('worker-threads: a worker serves, the main thread calls', async () => {
  assert.deepEqual(await run('worker-threads/main.ts'), printed('zeros: 3', 'the worker has ended'))
})

test('deadlines: calls that end in time, too late, and not at all', async () => {
  assert.deepEqual(await run('deadlines/main.ts'), printed('dinner is ready', 'DEADLINE_EXCEEDED', 'CANCELLED'))
})

test('json: documents that both ends read and change', async () => {
  assert.deepEqual(await run('json/main.ts'), printed(
    'Ada: book, pen', 'id,customer,items,paid true { name: \'Ada\', city: \'Paris\' }', '2', 'first {"name":"Bob","city":"Oslo"} 7'))
})

test('isolation: an argument that its client changes while the handler works', async () => {
  const ledger = process.geteuid?.() === 0
    ? ['ledger: the client cannot write', 'ledger: checked 40, charged 40, sealed: true']
    : ['ledger: not permitted here', 'ledger: FAILED_PRECONDITION']
  assert.deepEqual(await run('isolation/main.ts'),
    printed('careless: checked 20, charged 1', 'careful: checked 20, charged 20', ...ledger, 'checked 30, charged 30'))
})

test('enforced: a server that demands seals which its clients cannot undo', async () => {
  const isRoot = process.geteuid?.() === 0
  await using server = new Running('enforced/server.ts')
  await server.spoken()
  assert.deepEqual(await run('enforced/client.ts'), printed('seals: none', 'FAILED_PRECONDITION'))
  const launched = await run('enforced/client.ts', [process.execPath, join(root, 'dist/esm/cli/rpcool.js'), 'run', '--'])
  if (isRoot) assert.deepEqual(launched, printed('seals: enforced except [same-user]', '5 booked for ada'))
  else assert.match(launched.stderr, /cannot be started confined.*userfaultfd/)
})

test('sandbox: code over shared pointers that reaches one scope, in TypeScript and compiled', async () => {
  assert.deepEqual(await run('sandbox/main.ts'), printed('TypeScript: 6', 'WebAssembly: 6', 'endless: RESOURCE_EXHAUSTED'))
})

/** Runs a client whose server says nothing when it is ready: a client that was too early tries again, as a person would. */
async function onceServed(client: string): Promise<Ended> {
  for (;;) {
    const ended = await run(client)
    if (!ended.stderr.includes('NOT_FOUND')) return ended
  }
}
