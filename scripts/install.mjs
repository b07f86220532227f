// Brings node_modules in step with package-lock.json.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { SetupError, say } from './console.mjs'

/** Installs a folder's packages when its node_modules does not hold what its package-lock.json lists. */
export function installPackages(folder, what) {
  const lock = readFileSync(join(folder, 'package-lock.json'))
  const wanted = createHash('sha256').update(lock).update(`${process.platform}-${process.arch}`).digest('hex')
  const stamp = join(folder, 'node_modules', '.rpcool-installed')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  if (!holdsAll(folder, JSON.parse(lock.toString()))) {
    say(`installing ${what}`)
    npmInstall(folder)
  }
  writeFileSync(stamp, wanted)
}

/** True when npm's own record of the last finished install has every package of the lockfile: a developer's `npm install`. */
function holdsAll(folder, lock) {
  const record = join(folder, 'node_modules', '.package-lock.json')
  if (!existsSync(record)) return false
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages
  return Object.entries(lock.packages).every(([path, entry]) =>
    path === '' || (installed[path] === undefined ? entry.optional === true : installed[path].integrity === entry.integrity))
}

/** No package's install script is run: npm 11 blocks them, older ones would let zeromq call a compiler. */
function npmInstall(folder) {
  const args = ['ci', '--ignore-scripts', '--include=dev', '--dry-run=false', '--global=false', '--json=false', '--loglevel=error']
  const result = runNpm(args, folder)
  if (result.status !== 0) {
    throw new SetupError(`npm ci failed in ${folder}:\n${result.stderr.trim()}\n`
      + 'Check that the npm registry can be reached, then run the command again.')
  }
}

/** Runs npm as itself: without what an outer `npm test` or `npm pack` left in the environment. */
export function runNpm(args, cwd) {
  const npm = findNpm()
  const env = { ...process.env }
  for (const name of ['npm_config_local_prefix', 'npm_config_dry_run', 'npm_config_omit', 'npm_config_production', 'NODE_ENV']) {
    delete env[name]
  }
  return spawnSync(process.execPath, [npm, ...args], { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function findNpm() {
  const outer = process.env.npm_execpath
  if (outer !== undefined && /npm-cli\.c?js$/.test(outer)) return outer
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const candidate = join(folder, 'npm')
    if (existsSync(candidate)) return realpathSync(candidate)
  }
  throw new SetupError('npm was not found on PATH. It comes with Node.js: install Node.js 20 or newer with npm.')
}
