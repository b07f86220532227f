// Ensures that Debian packages are there: node scripts/debian.mjs <package> …
// Installs what is missing when root; otherwise says the command.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { SetupError, isMain, main, say } from './console.mjs'

/** What tests and benchmarks run besides node and g++: they pin processes, let them die with their starter, and give them a terminal. */
export const PROGRAMS = { taskset: 'util-linux', setpriv: 'util-linux', script: 'bsdutils' }

/** Installs the missing ones of these packages, or throws with the command that does. */
export function ensureDebianPackages(names) {
  const missing = names.filter((name) => !isInstalled(name))
  if (missing.length === 0) return
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  if (spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).error !== undefined) {
    throw new SetupError(`these Debian packages, or what your system calls them, are needed: ${missing.join(' ')}`)
  }
  if (process.getuid() !== 0) throw new SetupError(`Debian packages are missing. Install them with: sudo ${command}`)
  if (!readdirSync('/var/lib/apt/lists').some((file) => file.includes('_Packages'))) runApt(['update'])
  say(`installing ${missing.join(' ')}`)
  runApt(command.split(' ').slice(1))
}

/** Ensures programs, each with the Debian package that has it. On other systems they are there, or the package is named. */
export function ensurePrograms(packages) {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  const missing = Object.keys(packages).filter((program) => !folders.some((folder) => existsSync(join(folder, program))))
  ensureDebianPackages([...new Set(missing.map((program) => packages[program]))])
}

function isInstalled(name) {
  const result = spawnSync('dpkg-query', ['-W', '-f=${db:Status-Status}', name], { encoding: 'utf8' })
  return result.status === 0 && result.stdout === 'installed'
}

function runApt(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const result = spawnSync('apt-get', ['-q', ...args], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  if (result.status !== 0) throw new SetupError(`apt-get ${args.join(' ')} failed:\n${result.stderr.trim()}`)
}

if (isMain(import.meta.url)) {
  await main(() => {
    const names = process.argv.slice(2)
    if (names.length === 0) throw new SetupError('say which packages: node scripts/debian.mjs <package> …')
    ensureDebianPackages(names)
  })
}
