import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseOptions } from '../../bench/support/options.js'
import { Output } from '../../bench/support/output.js'
import { TRIALS } from '../../bench/trials/registry.js'
import { root } from '../tree/sources.js'

const TABLE = /\n[^\n]+\n┌─[^]*│[^]*└─/
const main = fileURLToPath(new URL('../../bench/main.js', import.meta.url))

/** What the issue asks each trial to print, as paths into its JSON object. */
const tails = (of: string): string[] => ['p50_ns', 'p99_ns', 'p999_ns'].map((quantile) => `${of}.${quantile}`)
const PEERS = ['thrift_uds', 'grpc_uds', 'net_uds', 'net_tcp', 'zeromq_ipc', 'worker_postmessage', 'child_ipc']

const KEYS: Readonly<Record<string, readonly string[]>> = {
  call: [
    'sync_rtt_over_c', 'sync_rtt_ns', 'async_rtt_ns', 'async_speedup_over_uds', 'pipelined_calls_per_s',
    'async_pipelined_calls_per_s', 'typed_call_over_c', 'sparse_rtt_over_uds', 'sparse_cpu_percent',
    ...PEERS.map((peer) => `peer_rtt_ns.${peer}`), 'one_core_rtt_ns', 'one_core_async_over_uds',
    'idle_cpu_percent', 'idle_connections_cost', 'channel_create_us', 'connect_us', 'timer_lateness_p99_us.caller', 'timer_lateness_p99_us.answerer',
    'one_core_hog.sync_rtt_ns', 'one_core_hog.async_rtt_ns', 'one_core_hog.async_over_uds',
    ...tails('sync_tails'), ...tails('async_tails'), ...PEERS.flatMap((peer) => tails(`peer_tails.${peer}`)),
  ],
  objects: [
    'json_read_over_plain', 'json_build_over_stringify_parse', 'parse_over_json_parse', 'parse_over_json_parse_of_string', 'memory_over_plain', 'map_get_over_plain_map',
    'map_get_fresh_over_plain_map', 'copy_from_ns_per_node', 'json_read_decoded_over_plain', 'copy_from.nodes',
  ],
  operations: [
    'secure_rtt_ns', 'secure_small_rtt_ns', 'secure_calls_per_s', 'sandbox_cached_ns', 'sandbox_cached_1024_pages_ns', 'sandbox_8_ns', 'sandbox_wasm_cached_ns',
    'sandbox_uncached_ns', 'sandbox_uncached_mapped_ns', 'sealed_calls_p99_us', 'memcpy_page_ns', 'memcpy_1024_pages_ns', 'channel_create_us', 'channel_destroy_us', 'connect_us',
    'sealed_rtt_over_limit', 'sealed_calls_per_s', 'sealed_calls_window', 'sealed_authority_rtt_over_limit', 'sealed_authority_calls_per_s', 'sealed_authority_p99_us', 'seal_release_batched_ns_per_scope', 'seal_first_store_ns', 'scope_created_over_heap', 'scope_reset_over_heap',
  ],
  documents: [
    'build_speedup', 'search_speedup', 'build_speedup_isolated', 'search_speedup_isolated', 'build_speedup_pipelined',
    'search_speedup_pipelined', 'search_speedup_projected', 'search_speedup_projected_pipelined', 'memory_over_plain', 'memory_footprint_over_plain', 'in_process_over_search',
    ...['rpcool_trusting', 'rpcool_isolated', 'json_uds', 'msgpack_uds', 'thrift_uds', 'grpc_uds', 'in_process'].flatMap((way) => ['build_ns', 'build_many_ns', 'search.mean_ns', 'search_many.mean_ns'].map((key) => `ways.${way}.${key}`)),
  ],
  memory: ['walk_over_objects', 'malloc_over_glibc', 'malloc_free_ns', 'malloc_over_bare', 'malloc_contended_over_single'],
}

/** A number of pages, or null for none. */
const CROSSOVERS: Readonly<Record<string, readonly string[]>> = { operations: ['isolation_crossover_pages', 'isolation_crossover_not_rewritten_pages', 'isolation_auto_pages'] }

function valueAt(result: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) =>
    (typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined), result)
}

/** What the issue asks to be printed in words. */
const WORDS: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  documents: { mix: /searches in turn: str1 = .*hash index, 1 result.*sparse_\d+ = .*hash index, some 10.*num from .*ordered index, 100.*reads str1, num and nested_obj\.num of every result/ },
}

/** Through npm itself, as a person starts it, and not as a script of npm's, which hands its own settings on. */
const NPM = 'memory'
const environment = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('npm_')))

for (const { name } of TRIALS) {
  test(`bench ${name} --quick --json prints one JSON object with its figures${name === NPM ? ', through npm' : ''}`, async () => {
    const command = name === NPM ? ['npm', 'run', 'bench', '--'] : [process.execPath, main]
    const child = spawn(command[0]!, [...command.slice(1), name, '--quick', '--json'], { stdio: ['ignore', 'pipe', 'pipe'], cwd: root, env: environment })
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout), text(child.stderr), once(child, 'exit') as Promise<[number | null]>,
    ])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^\{.*\}\n$/)
    if (name === NPM) assert.match(stderr, TABLE)
    const result: unknown = JSON.parse(stdout)
    for (const key of CROSSOVERS[name] ?? []) assert(valueAt(result, key) === null || typeof valueAt(result, key) === 'number', `${key} is ${String(valueAt(result, key))}`)
    for (const [key, words] of Object.entries(WORDS[name] ?? {})) assert.match(String(valueAt(result, key)), words)
    for (const key of KEYS[name] ?? []) {
      const value = valueAt(result, key)
      assert(typeof value === 'number' && Number.isFinite(value), `${key} is ${String(value)}`)
    }
  })
}

test('the trial of a million documents, with few', async () => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../../bench/documents/million.js', import.meta.url)), '--count', '500'], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit') as Promise<[number | null]>])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^trusting, 500 documents[^]*left of the heap's use: \d+ MiB\nisolated, 500 documents[^]*left of the heap's use: \d+ MiB\n$/)
})

for (const json of [false, true]) {
  test(`what a trial prints ${json ? 'with' : 'without'} --json is ${json ? 'the object alone' : 'its tables'}`, (t) => {
    const printed = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      t.mock.method(process[name], 'write', (what: string) => {
        printed[name] += what
        return true
      })
    }
    const output = new Output(parseOptions(['memory', ...(json ? ['--json'] : [])]).json)
    output.table('Walk', ['', 'mean'], [['plain objects', '88 ns']])
    output.finish({ walk_over_objects: 1.5 })
    t.mock.restoreAll()
    assert.match(json ? printed.stderr : printed.stdout, TABLE)
    assert.equal(json ? printed.stdout : printed.stderr, json ? '{"walk_over_objects":1.5}\n' : '')
  })
}
