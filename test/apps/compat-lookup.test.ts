import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connect } from 'rpcool'
import { plainCatalog } from '../../apps/compat-lookup/load.js'
import { rebuild } from '../../apps/compat-lookup/rebuild.js'
import { compatJson } from '../../apps/compat-lookup/server.js'
import { Compatibility } from '../../apps/compat-lookup/service.js'
import { countSupported } from '../../apps/compat-lookup/walk.js'
import { countSupportedPlain } from '../../bench/lookup/plain-data.js'
import type { CompatData } from '@mdn/browser-compat-data/types'

const MAIN = fileURLToPath(new URL('../../apps/compat-lookup/main.js', import.meta.url))

function start(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Runs the program to its end. */
async function run(...args: readonly string[]): Promise<{ readonly stdout: string, readonly stderr: string, readonly code: number | null }> {
  const child = start(...args)
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      printed[name] += text
    })
  }
  await once(child, 'close')
  return { ...printed, code: child.exitCode }
}

test('what a server loaded, its clients read, all of it, by pointer', async (t) => {
  const server = start('serve')
  try {
    if (server.stdout !== null) await once(server.stdout, 'data')
    const data = JSON.parse(compatJson()) as CompatData

    await t.test('a client rebuilds the whole JSON from the heap', async () => {
      await using connection = await connect('compatibility', Compatibility)
      const catalog = await connection.catalog()
      assert.ok(catalog)
      const rebuilt = rebuild(catalog)
      assert.deepStrictEqual(rebuilt, data)
      assert.equal(JSON.stringify(rebuilt), JSON.stringify(data), 'even the order of keys is the same')
    })

    await t.test('walks by pointer and over plain objects count the same', async () => {
      await using connection = await connect('compatibility', Compatibility)
      const catalog = await connection.catalog()
      assert.ok(catalog)
      for (const browser of ['firefox', 'ie', 'deno'] as const) {
        assert.equal(countSupported(catalog, browser), countSupportedPlain(data, browser), browser)
      }
    })

    await t.test('a look-up answers the feature, or null', async () => {
      await using connection = await connect('compatibility', Compatibility)
      const feature = connection.sync.lookup('api.AbortController')
      assert.equal(feature?.name, 'AbortController')
      assert.equal(feature.compat?.support?.firefox.at(0)?.version_added, '57')
      assert.equal(await connection.lookup('api.NoSuchThing'), null)
    })

    await t.test('the command line asks and counts', async () => {
      assert.deepEqual(await run('ask', 'api.AbortController', 'firefox'), { stdout: `${'firefox'.padEnd(24)} 57\n`, stderr: '', code: 0 })
      assert.deepEqual(await run('ask', 'api.NoSuchThing'), { stdout: '', stderr: 'there is no feature called api.NoSuchThing\n', code: 1 })
      const counted = await run('count', 'firefox')
      assert.equal(counted.stdout, `${'firefox'.padEnd(24)} ${countSupportedPlain(data, 'firefox')}\n`)
    })
  } finally {
    const ended = once(server, 'exit')
    server.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null], 'the server ends when it is asked to')
  }
})

test('data that the schema would lose is refused', () => {
  const empty = { __meta: { version: '1', timestamp: 'now' }, browsers: {}, api: {} }
  const feature = (compat: object): CompatData =>
    ({ ...empty, api: { x: { __compat: { source_file: 'f', support: {}, ...compat } } } }) as unknown as CompatData
  assert.throws(() => plainCatalog(feature({ invented: 1 })), /no field for "invented"/)
  assert.throws(() => plainCatalog(feature({ spec_url: ['https://one.example'] })), /array of 1/)
  assert.throws(() => plainCatalog(feature({ tags: [] })), /empty array/)
  assert.throws(() => plainCatalog(feature({ support: { netscape: { version_added: '4' } } })), /no field for "netscape"/)
  assert.throws(() => plainCatalog(feature({ support: { firefox: { version_added: null } } })), /version_added is null/)
  assert.throws(() => plainCatalog(feature({ support: { firefox: { version_added: '1', partial_implementation: false } } })), /not true/)
})

test('the comparison measures every way to ask, and says so in one JSON object', async () => {
  const { stdout, stderr, code } = await run('--quick', '--json', '--clients', '2')
  assert.equal(code, 0, stderr)
  const result = JSON.parse(stdout) as Record<string, unknown>
  assert.deepEqual(Object.keys(result).sort(), ['clients', 'heap_bytes', 'load_ns', 'look_ups', 'memory', 'quick', 'trial', 'walks'])
  const ways = ['rpcool_sync', 'rpcool_await', 'rpcool_no_call', 'net_uds', 'thrift_uds', 'grpc_uds']
  assert.deepEqual(Object.keys(result['look_ups'] as object).sort(), ['fact', 'record'].flatMap((kind) => ways.map((way) => `${kind}/${way}`)).sort())
  for (const figure of numbersOf(result)) assert.ok(Number.isFinite(figure) && figure > 0, `${figure} in ${stdout}`)
  const { rpcool, copies } = result['memory'] as { readonly [way: string]: { readonly sum: number, readonly per_client: number } }
  assert.ok(rpcool!.sum < copies!.sum && rpcool!.per_client < copies!.per_client, `more memory than copies: ${stdout}`)
  assert.match(stderr, /Look-ups in [\d,]+ features/)
})

test('wrong options are explained', async () => {
  assert.match((await run('--help')).stdout, /--clients N/)
  for (const args of [['--clients', '0'], ['--clients', 'many'], ['--nonsense'], ['dance'], ['ask'], ['count', 'netscape']]) {
    const { code, stderr, stdout } = await run(...args)
    assert.equal(code, 2, args.join(' '))
    assert.equal(stdout, '')
    assert.match(stderr, /--help/)
  }
})

function numbersOf(value: unknown): number[] {
  if (typeof value === 'number') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersOf) : []
}
