// A user's empty project with the packed library installed: no compiler on PATH, no install script, no network.
import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { root } from '../tree/sources.js'

const NPM_QUIET = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error']

export interface Project {
  readonly folder: string
  readonly tarball: string
  /** The installed package. */
  readonly library: string
  /** A PATH on which there is node, and nothing that could compile. */
  readonly path: string
  /** Removes the project; the caller owns it. */
  [Symbol.dispose](): void
}

/** Packs the library as it would be published and installs the tarball. */
export function createProject(): Project {
  const base = mkdtempSync(join(tmpdir(), 'rpcool-p'))
  const tarball = pack(base)
  const path = pathWithoutCompiler(base)
  const folder = join(base, 'project')
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "version": "1.0.0", "private": true }\n')
  const args = ['install', '--ignore-scripts', '--offline', `--cache=${join(base, 'cache')}`, ...NPM_QUIET, tarball]
  succeed(runNpm(args, folder, { PATH: path }), 'npm install of the tarball')
  cpSync(join(root, 'test', 'packaging', 'smoke'), join(folder, 'smoke'), { recursive: true })
  const library = join(folder, 'node_modules', 'rpcool')
  return { folder, tarball, library, path, [Symbol.dispose]: () => rmSync(base, { recursive: true, force: true }) }
}

function pack(destination: string): string {
  succeed(runNpm(['pack', `--pack-destination=${destination}`, ...NPM_QUIET], root, {}), 'npm pack')
  const [name, ...more] = readdirSync(destination).filter((file) => file.endsWith('.tgz'))
  assert(name !== undefined && more.length === 0, 'npm pack makes one tarball')
  return join(destination, name)
}

function pathWithoutCompiler(base: string): string {
  const bin = join(base, 'bin')
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  for (const tool of ['g++', 'gcc', 'cc', 'c++', 'clang', 'make', 'python3']) assert(!existsSync(join(bin, tool)))
  return bin
}

function runNpm(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): SpawnSyncReturns<string> {
  const outer = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'))
  return spawnSync(process.execPath, [npmProgram(), ...args], { cwd, env: { ...Object.fromEntries(outer), ...env }, encoding: 'utf8' })
}

function npmProgram(): string {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'npm'))
  const found = candidates.find((candidate) => existsSync(candidate))
  assert(found !== undefined, 'npm is on PATH')
  return realpathSync(found)
}

export function succeed({ status, stdout, stderr, error }: SpawnSyncReturns<string>, what: string): void {
  assert.equal(status, 0, `${what} failed: ${String(error ?? '')}\n${stdout}${stderr}`)
}
