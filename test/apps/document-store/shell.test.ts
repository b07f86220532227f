// The store as a program: serve, import, commands, the shell, and what it says about mistakes.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openStore } from '../../../apps/document-store/client.js'
import { complete } from '../../../apps/document-store/shell/interactive.js'
import { Terminal } from '../../support/terminal.js'
import { NoBench } from '../../../bench/nobench/generate.js'

const MAIN = fileURLToPath(new URL('../../../apps/document-store/main.js', import.meta.url))

interface Ran {
  readonly stdout: string
  readonly stderr: string
  readonly code: number | null
}

async function run(args: readonly string[], input = ''): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      printed[name] += text
    })
  }
  child.stdin.end(input)
  await once(child, 'close')
  return { ...printed, code: child.exitCode }
}

async function serving(channel: string, ...args: string[]): Promise<ChildProcess> {
  const server = spawn(process.execPath, [MAIN, 'serve', '--channel', channel, '--heap-mib', '64', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(server.stdout, 'data')
  return server
}

test('documents are imported, asked for, changed and deleted from the command line', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'documents-'))
  const server = await serving('shell/a')
  const second = await serving('shell/b')
  const say = (...args: string[]): Promise<Ran> => run([...args, '--channel', 'shell/a'])
  try {
    const documents = [...new NoBench(2500)]
    const file = join(folder, 'nobench.ndjson')
    writeFileSync(file, documents.map((document) => `${JSON.stringify(document)}\n`).join(''))

    await t.test('import, with a field as the key', async () => {
      assert.deepEqual(await say('import', file, '--key', 'str1'), { stdout: '2,500 documents imported\n', stderr: '', code: 0 })
      assert.equal((await say('count')).stdout, '2500\n')
      assert.deepEqual(JSON.parse((await say('get', documents[7]!.str1)).stdout), documents[7])
    })

    await t.test('index, find, group, project', async () => {
      assert.equal((await say('index', 'num', 'ordered')).stdout, 'indexed\n')
      const found = await say('find', '{"num": {"gte": 10, "lt": 13}}')
      assert.match(found.stdout, /\n3 documents\n$/)
      assert.match((await say('find', 'limit 2')).stdout, /the first 2 of 2500\n$/)
      assert.match((await say('group', 'bool')).stdout, /^ +\d+ {2}(true|false)\n +\d+ {2}(true|false)\n$/)
      assert.equal((await say('project', 'num,nested_obj.num', '{"num": 5}')).stdout, `${JSON.stringify({ num: 5, 'nested_obj.num': documents.find(({ num }) => num === 5)!.nested_obj.num })}\n`)
      assert.equal((await say('indexes')).stdout, 'num (ordered)\n')
    })

    await t.test('the shell reads commands, and goes on after a mistake', async () => {
      const { stdout, code } = await run(['shell', '--channel', 'shell/a'],
        'put mine {"x": 1}\nupdate mine x {"deeper": true}\nget mine\nfind {bad\nnonsense\nupdate none x 1\ndelete mine\nstats\nhelp\nexit\n')
      assert.equal(code, 0)
      for (const expected of [/trusting store/, /stored/, /changed/, /"deeper": true/, /this is not JSON/, /there is no command "nonsense"/,
        /there is no such document/, /deleted/, /2,500 documents in a trusting store/, /group PATH/]) assert.match(stdout, expected)
    })

    await t.test('the shell makes and drops indexes, imports, and clears', async () => {
      const other = join(folder, 'other.ndjson')
      writeFileSync(other, '{"id": "x", "n": 1}\n{"id": "y", "n": 2}\n')
      const { stdout, code } = await run(['shell', '--channel', 'shell/b'],
        `put mine {"n": 3}\nindex n ordered\nindexes\nimport ${other} id\ncount\nfind {"n": {"gte": 2}}\ndrop n\ndrop n\nindexes\nimport ${other} nothing\nclear\ncount\nget x\nexit\n`)
      assert.equal(code, 0)
      const said = stdout.replaceAll(/store> /g, '')
      assert.match(said, /stored\nindexed\nn \(ordered\)\n2 documents imported\n3\n[^]*\n2 documents\ndropped\nthere is no such index\n[^]*there is no text or number "nothing"[^]*\n3 documents deleted\n0\nthere is no document "x"\n/)
    })

    await t.test('Tab completes commands, paths, kinds and files', async () => {
      await using client = await openStore('shell/a')
      assert.deepEqual(complete(client, 'in'), [['index ', 'indexes '], 'in'])
      assert.deepEqual(complete(client, 'group nested_obj.'), [['nested_obj.num', 'nested_obj.str'], 'nested_obj.'])
      assert.deepEqual(complete(client, 'index num o'), [['ordered'], 'o'])
      assert.deepEqual(complete(client, 'find {"thou'), [['thousandth": '], 'thou'])
      assert.deepEqual(complete(client, `import ${folder}/n`), [[file], `${folder}/n`])
    })

    await t.test('on a terminal, import shows how far it is', async () => {
      const terminal = Terminal.run(process.execPath, MAIN, 'import', file, '--key', 'str1', '--channel', 'shell/a')
      assert.equal(await terminal.ended(), 0, terminal.shown)
      const bars = [...terminal.shown.matchAll(/([=-]+) (\d+)% \| ([\d,]+) documents \| \S+ left/g)].map(([, bar = '', percent, count]) => [
        bar.replaceAll('-', '').length / bar.length, Number(percent), count,
      ] as const)
      assert.deepEqual([bars[0], bars.at(-1)], [[0, 0, '0'], [1, 100, '2,500']], JSON.stringify(terminal.shown))
      assert.ok(bars.every(([, percent, count]) => percent === 100 || count !== '2,500') && bars.some(([, percent]) => percent > 0 && percent < 100), 'between them it is on its way')
      assert.deepEqual(bars.toSorted((a, b) => a[1] - b[1]), bars, 'it never goes back')
      // The cursor was hidden meanwhile, and is shown again.
      assert.ok(terminal.shown.lastIndexOf('\u001b[?25h') > terminal.shown.indexOf('\u001b[?25l') && terminal.shown.includes('\u001b[?25l'))
      assert.match(terminal.shown, /\n2,500 documents imported\r\n/)
    })

    await t.test('on a terminal, the shell completes what is typed', async () => {
      const terminal = Terminal.run(process.execPath, MAIN, 'shell', '--channel', 'shell/a')
      await terminal.until(/store> /)
      // Only the last Tab of what comes at once completes: what is pasted stays as it is.
      await terminal.typeUntil('gro\t', /group /)
      await terminal.typeUntil('nested_o\t', /nested_obj/)
      await terminal.typeUntil('\u0015in\t', /index/)
      await terminal.typeUntil('\t', /index +indexes/)
      await terminal.typeUntil('\u0015index thousan\t', /thousandth/)
      await terminal.typeUntil(' o\t', /ordered/)
      await terminal.typeUntil('\r', /indexed\r\n/)
      await terminal.typeUntil('find {"thou\t', /thousandth": /)
      await terminal.typeUntil('7}\r', /"thousandth":7,[^]*\n3 documents\r\n/)
      // The line before, by the arrow key, and its end changed.
      await terminal.typeUntil('\u001b[A\u007f limit 1\r', /this is not JSON/)
      terminal.type('exit\r')
      assert.equal(await terminal.ended(), 0, terminal.shown)
    })

    await t.test('a bad line is named, and what came before it is there', async () => {
      writeFileSync(join(folder, 'bad.ndjson'), '{"id": 1}\n\n{"id": 2}\n{"id": \n')
      const { stderr, code } = await say('import', join(folder, 'bad.ndjson'), '--key', 'id')
      assert.equal(code, 1)
      assert.match(stderr, /bad\.ndjson:4: .*\(2 documents before it are stored\)/)
      assert.match((await say('get', '2')).stdout, /"id": 2/)
      assert.match((await say('import', join(folder, 'bad.ndjson'), '--key', 'name')).stderr, /:1: there is no text or number "name"/)
      const missing = await say('import', join(folder, 'none'))
      assert.match(missing.stderr, /^ENOENT[^\n]*\n$/)
      assert.equal(missing.code, 1)
      assert.match((await say('import', folder)).stderr, /^[^\n]*EISDIR[^\n]*\n$/)
    })
  } finally {
    rmSync(folder, { recursive: true })
    for (const one of [server, second]) {
      const ended = once(one, 'exit')
      one.kill('SIGTERM')
      assert.deepEqual(await ended, [0, null], 'the server ends when it is asked to')
    }
  }
})

test('help, and mistakes', async () => {
  const help = await run(['--help'])
  assert.match(help.stdout, /--isolated/)
  assert.match(help.stdout, /update KEY PATH JSON/)
  for (const args of [[], ['--nonsense'], ['serve', '--heap-mib', '0'], ['serve', '--heap-mib', 'much']]) {
    const { code, stderr } = await run(args)
    assert.equal(code, 2, args.join(' '))
    assert.match(stderr, /--help/)
  }
  const { code, stderr } = await run(['count', '--channel', 'shell/nobody'])
  assert.equal(code, 1)
  assert.match(stderr, /there is no channel/)
})

test('an isolated store is served as well, and imported into', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'documents-'))
  const server = await serving('shell/b', '--isolated')
  try {
    const documents = [...new NoBench(1500)]
    const file = join(folder, 'nobench.ndjson')
    writeFileSync(file, documents.map((document) => `${JSON.stringify(document)}\n`).join(''))
    assert.deepEqual(await run(['import', file, '--key', 'str1', '--channel', 'shell/b']), { stdout: '1,500 documents imported\n', stderr: '', code: 0 })
    await using client = await openStore('shell/b')
    for (const [i, document] of documents.entries()) {
      if (i % 100 !== 0) continue
      using got = client.sync.get(document.str1)
      assert.deepEqual(JSON.parse(JSON.stringify(got?.body)), document)
    }
    assert.equal(await client.clear(), 1500)
    await run(['put', 'a', '{"x": [1, 2]}', '--channel', 'shell/b'])
    assert.match((await run(['stats', '--channel', 'shell/b'])).stdout, /1 document in an isolated store/)
  } finally {
    rmSync(folder, { recursive: true })
    const ended = once(server, 'exit')
    server.kill('SIGTERM')
    await ended
  }
})
