import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { RpcError } from '../base/errors.js'
import { addon, connectUnix, errnoCode, packageRoot, peerCredentials } from '../sys/index.js'
import { daemonSocket, openRuntimeDirectory, starterLock } from './runtime-directory.js'

/** Waits between attempts, in milliseconds: a daemon takes some 50 ms to start. */
const FIRST_WAIT_MS = 1
const LONGEST_WAIT_MS = 25

/**
 * A socket connected to the directory's daemon, which is started when there is none. The descriptor is the caller's.
 * `remainingMs` says how long one may go on. Throws FAILED_PRECONDITION (directory, start) or UNAVAILABLE (no time left).
 */
export async function connectOrStart(directory: string, remainingMs: () => number): Promise<number> {
  openRuntimeDirectory(directory)
  const starter = new Starter(directory)
  try {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      const reached = connectToDaemon(directory)
      if (typeof reached === 'number') return reached
      if (reached === 'nobody listens') starter.start()
      if (remainingMs() <= 0) {
        throw new RpcError('UNAVAILABLE', `no daemon could be reached or started in time in ${directory} (${reached}); RPCOOL_DEBUG=daemon makes it write a log there`)
      }
      await sleep(wait)
    }
  } finally {
    starter.end()
  }
}

function connectToDaemon(directory: string): number | 'nobody listens' | 'it is busy' {
  let fd: number
  try {
    fd = connectUnix(daemonSocket(directory), 'packets')
  } catch (error) {
    const code = errnoCode(error)
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'nobody listens'
    if (code === 'EAGAIN') return 'it is busy'
    if (code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM') {
      throw new RpcError('RESOURCE_EXHAUSTED', `no descriptor is left for a socket: ${String(error)}`, { cause: error })
    }
    throw new RpcError('FAILED_PRECONDITION', `the daemon in ${directory} cannot be reached: ${String(error)}`, { cause: error })
  }
  const { uid } = peerCredentials(fd)
  if (uid === process.getuid?.()) return fd
  addon.closeFd(fd)
  throw new RpcError('PERMISSION_DENIED', `the daemon in ${directory} belongs to user ${uid}; choose another directory with RPCOOL_RUNTIME_DIR`)
}

/** Starts daemons, one at a time and only while nobody else of the same directory does. */
class Starter {
  readonly #directory: string
  #lock = -1
  #running = false
  #failure: string | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  start(): void {
    if (this.#failure !== undefined) {
      throw new RpcError('FAILED_PRECONDITION', `the daemon does not start: ${this.#failure}; RPCOOL_DEBUG=daemon makes it write a log in ${this.#directory}`)
    }
    if (this.#running) return
    if (this.#lock < 0) this.#lock = addon.lockFile(starterLock(this.#directory))
    if (this.#lock >= 0) this.#spawn()
  }

  end(): void {
    if (this.#lock >= 0) addon.closeFd(this.#lock)
    this.#lock = -1
  }

  #spawn(): void {
    const [program, args] = daemonCommand()
    const child = spawn(program, args, { detached: true, stdio: 'ignore', cwd: '/', env: daemonEnvironment(this.#directory) })
    this.#running = true
    child.once('error', (error) => {
      this.#failure = String(error)
    })
    child.once('exit', (code, signal) => {
      this.#running = false
      // 0: another daemon was there first, or was about to end; the next attempt shows.
      if (code !== 0) this.#failure = `${program} ended with ${signal ?? `code ${code}`}`
    })
    child.unref()
  }
}

function daemonCommand(): [program: string, args: string[]] {
  const main = daemonMain()
  const node = process.env['RPCOOL_NODE']
  if (node !== undefined && node !== '') return [node, [main]]
  if (process.versions['deno'] !== undefined) return [process.execPath, ['run', '--allow-all', '--quiet', main]]
  return [process.execPath, [main]]
}

/** The daemon's file: beside this one, or, when this one was bundled, in the package's ES modules. */
function daemonMain(): string {
  const beside = fileURLToPath(new URL('./daemon-main.js', import.meta.url))
  if (existsSync(beside)) return beside
  const packaged = join(packageRoot(), 'dist', 'esm', 'control', 'daemon-main.js')
  if (existsSync(packaged)) return packaged
  throw new RpcError('FAILED_PRECONDITION', `the daemon's program is missing: neither ${beside} nor ${packaged} exists; install rpcool again`)
}

/** What a program needs to start at all, and our own settings: nothing that changes how Node runs. */
function daemonEnvironment(directory: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (['PATH', 'HOME', 'LD_LIBRARY_PATH', 'DENO_DIR'].includes(name) || name.startsWith('RPCOOL_')) env[name] = value
  }
  env['RPCOOL_RUNTIME_DIR'] = directory
  if (process.versions['electron'] !== undefined) env['ELECTRON_RUN_AS_NODE'] = '1'
  return env
}
