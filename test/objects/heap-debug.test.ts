import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('heap-debug-main.js', import.meta.url))

function run(debug: string): { readonly said: ReadonlyMap<string, unknown>, readonly warned: string } {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--enable-source-maps', MAIN], { encoding: 'utf8', env: { ...process.env, RPCOOL_DEBUG: debug } })
  assert.equal(status, 0, stderr)
  const lines = stdout.trim().split('\n').map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)] as const)
  return { said: new Map(lines.map(([what, value]) => [what, value === 'undefined' ? undefined : JSON.parse(value)])), warned: stderr }
}

const debugged = run('heap')
const undebugged = run('')

test('with RPCOOL_DEBUG=heap what is used after its end is named, and what is forgotten is told by type and place', () => {
  const { said, warned } = debugged
  assert.deepEqual(said.get('leaks before'), [['Post', 1], ['list(Post)', 1], ['Post', 1]])
  const place = /heap-debug-main\.ts:\d+:\d+/
  for (const what of ['read', 'write', 'follow', 'free again']) {
    const message = String(said.get(what))
    assert.match(message, /of Post at 0x[0-9a-f]+ after it was freed at .*heap-debug-main\.ts:\d+:\d+; it was made at .*heap-debug-main\.ts:\d+:\d+/, what)
  }
  assert.equal(said.get('live'), 6)
  const leaks = said.get('leaks') as ReadonlyArray<{ readonly type: string, readonly objects: number, readonly place: string }>
  assert.deepEqual(leaks.map(({ type, objects }) => [type, objects]), [['Post', 3]])
  assert.match(leaks[0]!.place, place)
  assert.match(warned, /RpcoolHeapWarning: a heap was closed with objects that nobody freed:\n {2}3 × Post, \d+ bytes, made at .*heap-debug-main\.ts:\d+:\d+/)
})

test('what a plain value became behind a ref is named when its holder has let go of it', () => {
  assert.deepEqual(new Set((debugged.said.get('leaks of refs') as unknown[]).map(String)), new Set(['Post,1', 'Post,3', 'map(text, list(ref(Post))),1']))
})

test('a pointer that is kept to what lies in a list or a map is told, once for each place', () => {
  const told = debugged.warned.split('\n').filter((line) => line.includes('lies by value in something else'))
  assert.deepEqual(told.map((line) => /RpcoolHeapWarning: (.*) points to a Post .* at .*heap-debug-main\.ts:\d+:\d+: /.exec(line)?.[1]), ['Pointing.one', 'list(ref(Post))'])
})

test('what a fast view of json cannot see is an error then, and only then', () => {
  assert.match(String(debugged.said.get('fast delete')), /delete of "name" does nothing on a fast view of json: assign undefined/)
  assert.match(String(debugged.said.get('fast in')), /"name" in a fast view of json says nothing/)
  assert.deepEqual([undebugged.said.get('fast delete'), undebugged.said.get('fast in')], [true, false])
  const after = ['a text with memory', 5, 5, '{"name":"a text with memory","list":[1,2],"more":5}']
  for (const { said } of [debugged, undebugged]) assert.deepEqual(said.get('fast after'), after)
})

test('every use of every kind of view after its end is named', () => {
  const { said } = debugged
  const uses = [...said].filter(([what]) => what.startsWith('use of '))
  assert.ok(uses.length > 70, `${uses.length} uses`)
  assert.deepEqual(said.get('leaks after'), [['Post', 3]], 'shapes stay with the heap and are no leak')
  const named = /^FAILED_PRECONDITION: use of (.+) at 0x[0-9a-f]+ after it was freed at .*heap-debug-main\.ts:\d+:\d+; it was made at .*heap-debug-main\.ts:\d+:\d+$/
  const types = new Map(uses.map(([what, message]) => [what.slice(7), named.exec(String(message))?.[1] ?? String(message)]))
  const expected: ReadonlyArray<readonly [RegExp, RegExp]> = [
    [/^list (?!same)/, /^list\((Post|text)\) in Whole$/], [/^list same/, /in Whole$/], [/^array/, /^array\(u32, 3\) in Whole$/], [/^map/, /^map\(text, Post\) in Whole$/],
    [/^set/, /^set\(u32\) in Whole$/], [/^order/, /^sortedMap\(text, u32\) in Whole$/], [/^shared/, /^shared\(.*\) in Whole$/], [/^tree/, /^json in Whole$/], [/^quick/, /^json\.fast in Whole$|^json in Whole$/],
    [/^in (list|map)/, /^Post in Whole$/], [/^struct/, /^Whole$/], [/^replaced part/, /^json$/], [/^moved element/, /^Post/], [/^names steps/, /^list\(text\) in Whole$/],
  ]
  assert.deepEqual(said.get('overwritten part in the same turn'), { deep: [1, 'a text with memory'] })
  for (const { said: told } of [debugged, undebugged]) {
    assert.match(String(told.get('overwritten part freed')), /^INVALID_ARGUMENT: free of 0x[0-9a-f]+, which was overwritten in what held it/)
    assert.equal(told.get('blocks of overwritten parts'), 0)
  }
  for (const [what, type] of types) assert.match(type, expected.find(([kind]) => kind.test(what))?.[1] ?? /never/, what)
})

test('what the other end of a connection has freed is named too, is no leak, and is not freed again', () => {
  const { said } = debugged
  const named = /^FAILED_PRECONDITION: (use|free) of Post at 0x[0-9a-f]+ after it was freed at the other end of the connection; it was made at .*heap-debug-main/
  assert.match(String(said.get('peer read')), named)
  assert.match(String(said.get('peer free')), named)
  assert.deepEqual(said.get('peer leaks'), [['Post', 1]])
  assert.deepEqual(said.get('peer later'), [true, 18_000])
})

test('without it nothing is noted, and leaks say how to turn it on', () => {
  const { said, warned } = undebugged
  assert.match(String(said.get('leaks')), /RPCOOL_DEBUG=heap/)
  assert.equal(warned, '')
})
