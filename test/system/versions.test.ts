// Two ends, or two copies in one process, that lay out shared memory in different ways.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { connect } from '../../src/index.js'
import { WINDOW_BASE, WINDOW_END } from '../../src/sys/index.js'
import { Everything } from '../support/everything.js'
import { Commanded, errorOf, Ground } from '../support/ground.js'
import { root } from '../tree/sources.js'

/** Ways in which another version's memory may differ: a change of the compiled source, made where the variable is set. */
const CHANGES: Readonly<Record<string, readonly [file: string, from: RegExp, to: string, told: RegExp]>> = {
  TEST_LAYOUT_VERSION: ['layout/header.js', /(LAYOUT_VERSION = )(\d+)/, '$1process.env.TEST_LAYOUT_VERSION ? 77 : $2', /lays out a \w+ in another way \(version (77,.* ours 2|2,.* ours 77),.*use the same version of rpcool on both sides/],
  TEST_CONTROL: ['layout/control-layout.js', /(CONTROL_FINGERPRINT = fingerprintOf\(\[)/, '$1...(process.env.TEST_CONTROL ? [1] : []), ', /lays out a connection in another way .*use the same version of rpcool on both sides/],
  TEST_HEAP: ['layout/heap-layout.js', /(HEAP_FINGERPRINT = fingerprintOf\(\[)/, '$1...(process.env.TEST_HEAP ? [1] : []), ', /lays out a heap in another way .*use the same version of rpcool on both sides/],
}

let folder: string

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'rpcool-v'))
  const isCode = (path: string): boolean => !/\.(map|ts|tsbuildinfo)$/.test(path)
  cpSync(join(root, 'dist', 'esm'), join(folder, 'build', 'src'), { recursive: true, filter: isCode })
  cpSync(join(root, 'build', 'test', 'support'), join(folder, 'build', 'test', 'support'), { recursive: true, filter: isCode })
  mkdirSync(join(folder, 'prebuilds'))
  symlinkSync(join(root, 'prebuilds', `linux-${process.arch}`), join(folder, 'prebuilds', `linux-${process.arch}`))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  for (const [file, from, to] of Object.values(CHANGES)) {
    const path = join(folder, 'build', 'src', file)
    const source = readFileSync(path, 'utf8')
    const changed = source.replace(from, to)
    assert.notEqual(changed, source, `${file} says it in other words now`)
    writeFileSync(path, changed)
  }
})
after(() => rmSync(folder, { recursive: true }))

/** A program of test/support, of the other version. */
function otherVersion(program: string, change: string, ...args: string[]): Promise<Commanded> {
  return Commanded.startAs(undefined, { [change]: '1' }, pathToFileURL(join(folder, 'build', 'test', 'support', program)).href, ...args)
}

test('a client and a server whose layouts differ do not connect, and are told why; both go on', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  const channel = `${ground.channel}/other`
  const server = await otherVersion('server-main.js', 'TEST_LAYOUT_VERSION', channel, '{}')
  try {
    const error = await errorOf(connect(channel, Everything))
    assert.equal(error.code, 'FAILED_PRECONDITION')
    assert.match(error.message, CHANGES['TEST_LAYOUT_VERSION']![3])
    for (const [change, [, , , told]] of Object.entries(CHANGES)) {
      const joiner = await otherVersion('joiner-main.js', change)
      assert.match(String(await joiner.ask('join', ground.channel)), told)
      // Two of the other version understand each other.
      if (change === 'TEST_LAYOUT_VERSION') assert.equal(await joiner.ask('join', channel), 'answered 42')
      await joiner.end()
    }
    assert.equal(await (await ground.connect()).number(7), 7)
  } finally {
    await server.kill()
  }
})

test('a process that holds another version with another table of mappings is told to use one version', async (t) => {
  await using ground = await Ground.open(t)
  await ground.serve()
  for (const [version, told] of [[77, /FAILED_PRECONDITION: the address window.*another version of rpcool.*use one version per process/], [1, /^answered 42$/]] as const) {
    const library = join(folder, `version-${version}.so`)
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', `-DWINDOW_BASE=${WINDOW_BASE}ull`, `-DWINDOW_BYTES=${WINDOW_END - WINDOW_BASE}ull`, `-DTABLE_VERSION=${version}`,
      '-o', library, join(root, 'test', 'system', 'other-version.c')])
    const joiner = await Commanded.startAs(undefined, { LD_PRELOAD: library }, './joiner-main.js')
    assert.match(String(await joiner.ask('join', ground.channel)), told)
    await joiner.end()
  }
})
