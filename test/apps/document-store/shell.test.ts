// The store as a program: serve, import, commands, the shell, and what it says about mistakes.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openStore } from '../../../apps/document-store/client.js'
import { runCommand } from '../../../apps/document-store/shell/commands.js'
import { complete } from '../../../apps/document-store/shell/complete.js'
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
  const third = await serving('shell/c', '--isolated')
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
      assert.equal(code, 1, 'a script sees that something in it made no sense')
      for (const expected of [/trusting store/, /stored/, /changed/, /"deeper": true/, /this is not JSON/, /there is no command "nonsense"/,
        /there is no such document/, /deleted/, /2,500 documents in a trusting store/, /group PATH/]) assert.match(stdout, expected)
    })

    await t.test('the shell makes and drops indexes, imports, and clears', async () => {
      const other = join(folder, 'other.ndjson')
      writeFileSync(other, '{"id": "x", "n": 1}\n{"id": "y", "n": 2}\n')
      const { stdout, code } = await run(['shell', '--channel', 'shell/b'],
        `put mine {"n": 3}\nindex n ordered\nindexes\nimport ${other} id\ncount\nfind {"n": {"gte": 2}}\ndrop n\ndrop n\nindexes\nimport ${other} nothing\nclear\ncount\nget x\nexit\n`)
      assert.equal(code, 1)
      const said = stdout.replaceAll(/store> /g, '')
      assert.match(said, /stored\nindexed\nn \(ordered\)\n2 documents imported\n3\n[^]*\n2 documents\ndropped\nthere is no such index\n[^]*there is no text or number "nothing"[^]*\n3 documents deleted\n0\nthere is no document "x"\n/)
    })

    await t.test('a key without a character is one', async () => {
      assert.deepEqual(await Promise.all([['put', '', '{"n": 9}'], ['get', '']].map(async (args) => (await run([...args, '--channel', 'shell/b'])).code)), [0, 0])
      assert.match((await run(['delete', '', '--channel', 'shell/b'])).stdout, /^deleted/)
    })

    await t.test('a script without a mistake ends with 0', async () => {
      assert.equal((await run(['shell', '--channel', 'shell/b'], 'count\n')).code, 0)
    })

    await t.test('any key and any path can be written, and what makes no sense is told', async (inner) => {
      await using client = await openStore('shell/b')
      const tell = async (line: string): Promise<string> => {
        const lines: string[] = []
        await runCommand(client, line, (text) => lines.push(text)).catch((error: unknown) => lines.push(String(error)))
        return lines.join('\n')
      }
      await client.clear()
      assert.equal(await tell(String.raw`put "a \"b\"" {"n": 1, "first name": "Ada", "k.k": {"b\\c": 5}, "items": [{"x": 7}], "a,b": 3, "m": 2}`), 'stored')
      assert.equal(await tell('put plain {"n": 2, "m": 1, "first name": "Bob"}'), 'stored')
      assert.match(await tell('put a b {"n": 1}'), /CommandError: this is not JSON: .*a key or path with spaces is quoted/)
      assert.match(await tell('get "a b" c'), /CommandError: there is more behind "a b": c/)
      assert.match(await tell('delete "a'), /CommandError: what begins with a quote is a JSON text/)
      assert.equal(await tell('get a b'), 'there is no document "a b"')
      assert.equal(await tell('update "a \\"b\\"" "first name" "Eve"'), 'changed')
      assert.equal(await tell('group "first name"'), '       1  "Eve"\n       1  "Bob"')
      assert.equal(await tell('group "first name" {"n": 1}'), '       1  "Eve"')
      assert.equal(await tell(String.raw`project n, "first name","a,b" {"k\\.k.b\\\\c": 5, "items.0.x": {"gte": 7}} limit 3`), '{"n":1,"first name":"Eve","a,b":3}')
      assert.equal(await tell('count {"k.k": {"exists": true}}'), '0')
      assert.match(await tell(String.raw`count {"k\\k": 1}`), /INVALID_ARGUMENT: in a path, a backslash stands before a dot or a backslash/)
      for (const what of ['-1', '0', '1.5', '4294967296', 'x']) assert.match(await tell(`find limit ${what}`), new RegExp(`limit takes a whole number from 1, not ${what}$`))
      assert.match(await tell('find limit'), /limit takes a whole number from 1/)
      assert.equal(await tell('find {"none": " limit 5"}'), '0 documents')
      assert.match(await tell('count {"items": ["tea"]}'), /the test of "items" is an array: a test is a value .*"gte".*"prefix".*"contains".*"exists"/)
      assert.match(await tell('count {"items": {"foo": 1}}'), /the test of "items" has "foo": a test is/)
      assert.deepEqual([await tell('index n hash'), await tell('index n hash'), await tell('index n ordered'), await tell('index "first name" hash'), await tell('indexes')],
        ['indexed', 'it was there already', 'indexed, in the place of a hash index', 'indexed', 'n (ordered)\n"first name" (hash)'])
      assert.equal(await tell('join n m {"n": 1}'), 'a "b"\tplain\n1 pair')
      assert.equal(await tell('join n m limit 1'), 'a "b"\tplain\nthe first 1 pair')

      await inner.test('and Tab knows them', async () => {
        for (const [line, choices, word] of [
          ['drop ', ['"first name"', 'n'], ''], ['update "a \\"b\\"" k', [String.raw`k\.k`, String.raw`k\.k.b\\c`], 'k'], ['project m,"fi', ['"first name"'], '"fi'],
          ['project n,i', ['items'], 'i'], ['group "first name" {"n": {"g', ['gt": ', 'gte": '], 'g'], ['find {"n": {"lt": 5, "', ['contains": ', 'exists": ', 'gt": ', 'gte": ', 'lt": ', 'lte": ', 'prefix": '], ''],
          ['count {"n": {"lt": 5}, "fi', ['first name": '], 'fi'], ['find {"k', [String.raw`k\\.k": `, String.raw`k\\.k.b\\\\c": `], 'k'],
          ['find {"n": 1} lim', ['limit '], 'lim'], ['find lim', ['limit '], 'lim'], ['project n lim', ['limit '], 'lim'], ['count {"n": 1} lim', [], 'lim'],
          ['find {"n": "', [], '{"n": "'], ['find {"n": {"prefix": "n', [], '{"n": {"prefix": "n'.slice(-2)], ['put x ', [], ''], ['none ', [], ''],
        ] as const) {
          const [offered, replaced] = await complete(client, line)
          assert.deepEqual(offered, choices, line)
          if (choices.length > 0) assert.equal(replaced, word, line)
        }
        await client.dropIndex('first name')
        await client.dropIndex('n')
        await client.clear()
      })
    })

    await t.test('import skips broken lines when it is told to, and says what took the place of what', async () => {
      const broken = join(folder, 'broken lines.ndjson')
      const deep = '['.repeat(1500) + ']'.repeat(1500)
      writeFileSync(broken, `\uFEFF{"the id": 1}\n{"the id": 1, "b": 2}\n{bad\n\n{"x": 1}\n{"the id": 3, "deep": ${deep}}\n{"the id": 4}\n${'{\n'.repeat(9)}`)
      for (const channel of ['shell/b', 'shell/c']) {
        assert.deepEqual(await run(['import', broken, '--key', 'the id', '--skip-broken', '--channel', channel]).then(({ stdout, code }) => [stdout.replaceAll(/(:\d+): .*/g, '$1'), code]), [
          `3 documents imported, of which 1 took the place of one with the same key\n12 lines skipped:\n${[3, 5, 6, 8, 9, 10, 11, 12, 13, 14].map((line) => `  ${broken}:${line}\n`).join('')}  and 2 more\n`, 0,
        ], channel)
      }
      const stopped = await run(['import', broken, '--key', 'the id', '--channel', 'shell/b'])
      assert.equal(stopped.code, 1)
      assert.match(stopped.stderr, /broken lines\.ndjson:3: .*\(2 documents before it are stored; --skip-broken goes on behind such lines\)/)
      writeFileSync(broken, `{"id": 5}\n{"id": 6, "deep": ${deep}}\n{"id": 7}\n`)
      const halfway = await run(['import', broken, '--key', 'id', '--channel', 'shell/c'])
      assert.match(halfway.stderr, /broken lines\.ndjson:2: JSON is nested at most 1000 deep.*\(1 document before it is stored/)
    })

    await t.test('Tab completes commands, paths, kinds and files', async () => {
      await using client = await openStore('shell/a')
      assert.deepEqual(await complete(client, 'in'), [['index ', 'indexes '], 'in'])
      assert.deepEqual(await complete(client, 'group nested_obj.'), [['nested_obj.num', 'nested_obj.str'], 'nested_obj.'])
      assert.deepEqual(await complete(client, 'index num o'), [['ordered'], 'o'])
      assert.deepEqual(await complete(client, 'find {"thou'), [['thousandth": '], 'thou'])
      assert.deepEqual(await complete(client, `import ${folder}/n`), [[file], `${folder}/n`])
      mkdirSync(join(folder, 'with "quotes"'))
      const [named, quotes] = ['broken lines.ndjson', 'with "quotes"/'].map((name) => JSON.stringify(join(folder, name)))
      assert.deepEqual(await complete(client, `import "${folder}/b`), [[named], `"${folder}/b`])
      assert.deepEqual(await complete(client, `import "${folder}/w`), [[quotes!.slice(0, -1)], `"${folder}/w`])
      assert.deepEqual(await complete(client, `import ${folder}/b`), [[], `${folder}/b`])
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
      assert.match(terminal.shown, /\n2,500 documents imported, of which 2,500 took the place of one with the same key\r\n/)
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
      assert.match(stderr, /bad\.ndjson:4: .*\(2 documents before it are stored; --skip-broken/)
      assert.match((await say('get', '2')).stdout, /"id": 2/)
      assert.match((await say('import', join(folder, 'bad.ndjson'), '--key', 'name')).stderr, /:1: there is no text or number "name"/)
      const missing = await say('import', join(folder, 'none'))
      assert.match(missing.stderr, /^ENOENT[^\n]*\n$/)
      assert.equal(missing.code, 1)
      assert.match((await say('import', folder)).stderr, /^[^\n]*EISDIR[^\n]*\n$/)
    })
  } finally {
    rmSync(folder, { recursive: true })
    for (const one of [server, second, third]) {
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
  assert.equal((await run(['help'])).stdout, help.stdout)
  const unknown = await run(['bogus', '--channel', 'shell/nobody'])
  assert.deepEqual([unknown.code, /^there is no command "bogus"; there are find, .*\n--help tells more\n$/.test(unknown.stderr)], [2, true], unknown.stderr)
  const { code, stderr } = await run(['find', 'limit', '-1', '--channel', 'shell/nobody'])
  assert.equal(code, 1)
  assert.match(stderr, /no store is served on "shell\/nobody": start one, .* main\.js serve --channel shell\/nobody/)
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
