// What README shows is compiled as a user's compiler does it, runs, and prints what it says.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../tree/sources.js'

const APP = join(root, 'apps', 'document-store')

/** A project of a user's: the store's folder in it, and the programs of README. */
function makeProject(folder: string): void {
  cpSync(APP, join(folder, 'document-store'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  const modules = join(folder, 'node_modules')
  mkdirSync(modules)
  symlinkSync(root, join(modules, 'rpcool'))
  for (const name of readdirSync(join(root, 'node_modules'))) if (!name.startsWith('.')) symlinkSync(join(root, 'node_modules', name), join(modules, name))
  const readme = readFileSync(join(APP, 'README.md'), 'utf8')
  const programs = [...readme.matchAll(/`(\w+\.ts)`:\n\n```ts\n([^]*?)```/g)]
  assert.deepEqual(programs.map(([, name]) => name), ['order.ts', 'server.ts', 'client.ts'])
  assert.equal(readme.split('```ts').length, 1 + programs.length, 'all TypeScript in it is a part of a program')
  for (const [, name = '', text = ''] of programs) writeFileSync(join(folder, name), text)
}

test('the programs in README compile as tsc --init has it, run, and print what they say', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'documents-readme-'))
  const run = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
    assert.equal(status, 0, `${args.join(' ')}\n${stdout}${stderr}`)
    return stdout
  }
  try {
    makeProject(folder)
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    run(compiler, '--init', '--module', 'nodenext', '--target', 'es2023', '--types', 'node')
    run(compiler, '--pretty', 'false')
    const server = spawn(process.execPath, ['server.js'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(server, 'exit')
    try {
      const [said] = await Promise.race([once(server.stdout.setEncoding('utf8'), 'data'), ended]) as [unknown]
      assert.equal(said, 'serving, trusting\n')
      assert.equal(run('client.js'), "o1 Ada 120\nMap(1) { 'London' => 1 }\n[ { 'customer.name': 'Ada' } ]\n0\n")
    } finally {
      server.kill('SIGTERM')
    }
    assert.deepEqual(await ended, [0, null])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
