import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { RpcError } from '../../base/errors.js'
import { addon, connectUnix, errnoCode, isLaunched, packageRoot, peerCredentials } from '../../sys/index.js'
import { daemonSocket, openRuntimeDirectory, starterLock } from './runtime-directory.js'
import { trustedOwner, userId } from './users.js'

/** Waits between attempts, in milliseconds: a daemon takes some 50 ms to start. */
const FIRST_WAIT_MS = 1
const LONGEST_WAIT_MS = 25

/** A program of this package that serves all processes of a runtime directory, and is started by the first that needs it. */
export interface Service {
  /** What messages call it. */
  readonly name: string
  readonly socket: (directory: string) => string
  /** Locked by the one that is starting it, so that a hundred participants do not start a hundred. */
  readonly starterLock: (directory: string) => string
  /** Its compiled file beside its source's folder, and the place of that file in the package's ES modules. */
  readonly main: URL
  readonly packaged: readonly string[]
}

export const DAEMON: Service = {
  name: 'daemon', socket: daemonSocket, starterLock, main: new URL('../daemon/daemon-main.js', import.meta.url), packaged: ['control', 'daemon', 'daemon-main.js'],
}

/**
 * A socket connected to the directory's service, which is started when there is none. The descriptor is the caller's.
 * `remainingMs` says how long one may go on. Throws FAILED_PRECONDITION (directory, start) or UNAVAILABLE (no time left).
 */
export async function connectOrStart(directory: string, remainingMs: () => number, service = DAEMON): Promise<number> {
  const owner = trustedOwner()
  openRuntimeDirectory(directory, owner)
  const starter = new Starter(directory, service)
  try {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      const reached = connectTo(directory, service, owner)
      if (typeof reached === 'number') return reached
      // What a confined program starts is confined too: its launcher, or a server, starts the services that they all need.
      if (reached === 'nobody listens' && !isLaunched() && owner === userId()) starter.start()
      if (remainingMs() <= 0) {
        const advice = owner === userId() ? 'RPCOOL_DEBUG=daemon makes it write a log there' : `user ${owner} must start it: any program of rpcool does`
        throw new RpcError('UNAVAILABLE', `no ${service.name} could be reached or started in time in ${directory} (${reached}); ${advice}`)
      }
      await sleep(wait)
    }
  } finally {
    starter.end()
  }
}

function connectTo(directory: string, { name, socket }: Service, owner: number): number | 'nobody listens' | 'it is busy' {
  let fd: number
  try {
    fd = connectUnix(socket(directory), 'packets')
  } catch (error) {
    const code = errnoCode(error)
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'nobody listens'
    if (code === 'EAGAIN') return 'it is busy'
    if (code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM') {
      throw new RpcError('RESOURCE_EXHAUSTED', `no descriptor is left for a socket: ${String(error)}`, { cause: error })
    }
    throw new RpcError('FAILED_PRECONDITION', `the ${name} in ${directory} cannot be reached: ${String(error)}`, { cause: error })
  }
  const { uid } = peerCredentials(fd)
  if (uid === owner) return fd
  addon.closeFd(fd)
  throw new RpcError('PERMISSION_DENIED', `the ${name} in ${directory} belongs to user ${uid}, not to user ${owner}, whom this process trusts; choose another directory with RPCOOL_RUNTIME_DIR`)
}

/** Starts the service, one at a time and only while nobody else of the same directory does. */
class Starter {
  readonly #directory: string
  readonly #service: Service
  #lock = -1
  #running = false
  #failure: string | undefined

  constructor(directory: string, service: Service) {
    this.#directory = directory
    this.#service = service
  }

  start(): void {
    if (this.#failure !== undefined) {
      throw new RpcError('FAILED_PRECONDITION', `the ${this.#service.name} does not start: ${this.#failure}; RPCOOL_DEBUG=daemon makes it write a log in ${this.#directory}`)
    }
    if (this.#running) return
    if (this.#lock < 0) this.#lock = addon.lockFile(this.#service.starterLock(this.#directory))
    if (this.#lock >= 0) this.#spawn()
  }

  end(): void {
    if (this.#lock >= 0) addon.closeFd(this.#lock)
    this.#lock = -1
  }

  #spawn(): void {
    const [program, args] = commandOf(this.#service)
    const child = spawn(program, args, { detached: true, stdio: 'ignore', cwd: '/', env: serviceEnvironment(this.#directory) })
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

function commandOf(service: Service): [program: string, args: string[]] {
  const main = mainOf(service)
  const node = process.env['RPCOOL_NODE']
  if (node !== undefined && node !== '') return [node, [main]]
  if (process.versions['deno'] !== undefined) return [process.execPath, ['run', '--allow-all', '--quiet', main]]
  return [process.execPath, [main]]
}

/** The service's file: beside its source's folder, or, when this was bundled, in the package's ES modules. */
function mainOf({ name, main, packaged }: Service): string {
  const beside = fileURLToPath(main)
  if (existsSync(beside)) return beside
  const found = join(packageRoot(), 'dist', 'esm', ...packaged)
  if (existsSync(found)) return found
  throw new RpcError('FAILED_PRECONDITION', `the program of the ${name} is missing: neither ${beside} nor ${found} exists; install rpcool again`)
}

/** What a program needs to start at all, and our own settings: nothing that changes how Node runs. */
function serviceEnvironment(directory: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (['PATH', 'HOME', 'LD_LIBRARY_PATH', 'DENO_DIR'].includes(name) || name.startsWith('RPCOOL_')) env[name] = value
  }
  env['RPCOOL_RUNTIME_DIR'] = directory
  if (process.versions['electron'] !== undefined) env['ELECTRON_RUN_AS_NODE'] = '1'
  return env
}
