// The ground that a test with real processes stands on: a channel, servers in processes of their own, connections, and the
// proof at the end that nothing of them is left.
import assert from 'node:assert/strict'
import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connect, type Connection, type ConnectOptions, RpcError, type ServerOptions, type Service, type Methods } from '../../src/index.js'
import { DaemonClient } from '../../src/control/index.js'
import { mappingCount } from '../../src/sys/index.js'
import { Everything } from './everything.js'
import { isAlive, openCount, openFiles, whatItDoes } from './leaks.js'

const WATCHDOG_MS = 90_000
let channels = 0

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** A child process that answers commands sent to it. */
export class Commanded {
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended: Promise<unknown>
  #nextId = 1

  protected constructor(readonly process: ChildProcess, readonly program: string) {
    process.on('message', ({ id, result }: { id: number, result: unknown }) => {
      this.#waiting.get(id)?.resolve(result)
      this.#waiting.delete(id)
    })
    this.#ended = once(process, 'exit')
    process.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${program} ended with ${signal ?? code} before it answered`))
    })
  }

  /** Starts a program of test/support and waits for its first message. */
  static start(program: string, ...args: string[]): Promise<Commanded> {
    return Commanded.startAs(undefined, {}, program, ...args)
  }

  /** The same as another user, with more in its environment. */
  static async startAs(user: number | undefined, environment: Readonly<Record<string, string>>, program: string, ...args: string[]): Promise<Commanded> {
    const child = new Commanded(fork(fileURLToPath(new URL(program, import.meta.url)), args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, ...environment }, ...(user === undefined ? {} : { uid: user, gid: user }),
    }), program)
    await new Promise((resolve, reject) => child.#waiting.set(0, { resolve, reject }))
    return child
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  ask(command: string, argument?: unknown): Promise<unknown> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.process.send({ id, command, argument }, (error) => {
        if (error !== null) reject(error)
      })
    })
  }

  /** Lets it clean up: it hears that its parent's end is closed. */
  async end(): Promise<void> {
    if (this.process.connected) this.process.disconnect()
    await this.#ended
  }

  async kill(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill('SIGKILL')
    await this.#ended
  }

  async ended(): Promise<void> {
    await this.#ended
  }
}

export interface ServerInfo {
  readonly open: number
  readonly mappings: number
  readonly connections: number
  readonly inHandlers: number
  readonly errors: readonly string[]
  readonly closes: readonly boolean[]
  readonly reasons: readonly string[]
  readonly sums: readonly number[]
}

interface Serving {
  readonly child: Commanded
  readonly before: ServerInfo
}

export type EverythingConnection = Connection<(typeof Everything)['methods']>

export class Ground implements AsyncDisposable {
  readonly channel = `test/${process.pid}/${++channels}`
  /** What the watchdog says the test was waiting for. */
  waitsFor = 'its first step'
  readonly #servers: Serving[] = []
  readonly #children: Commanded[] = []
  readonly #connections: AsyncDisposable[] = []
  readonly #watchdog: NodeJS.Timeout
  readonly #open = openCount()
  readonly #names = openFiles()
  readonly #mappings = mappingCount()

  private constructor(name: string) {
    this.#watchdog = setTimeout(() => {
      process.stderr.write(`the test "${name}" hangs; it waits for ${this.waitsFor}\n`)
      for (const { pid, program } of this.#children) process.stderr.write(`${program}: ${whatItDoes(pid)}\n`)
      for (const { process: child } of this.#children) child.kill('SIGKILL')
      process.exit(1)
    }, WATCHDOG_MS)
  }

  static async open(t: TestContext): Promise<Ground> {
    // What Node and the link to the daemon open once, before anything is counted.
    await DaemonClient.shared().connect()
    spawnSync('true')
    return new Ground(t.name)
  }

  /** A process that serves {@link Everything}. */
  async serve(options: ServerOptions = {}, channel = this.channel): Promise<Commanded> {
    this.waitsFor = 'a server to start'
    const child = await this.child('./server-main.js', channel, JSON.stringify(options))
    this.#servers.push({ child, before: await child.ask('info') as ServerInfo })
    this.waitsFor = 'its next step'
    return child
  }

  async child(program: string, ...args: string[]): Promise<Commanded> {
    const child = await Commanded.start(program, ...args)
    this.#children.push(child)
    return child
  }

  connect(options?: ConnectOptions): Promise<EverythingConnection> {
    return this.connectTo(Everything, options)
  }

  async connectTo<M extends Methods>(service: Service<M>, options?: ConnectOptions, channel = this.channel): Promise<Connection<M>> {
    const connection = await connect(channel, service, options)
    this.#connections.push(connection)
    return connection
  }

  /** Closes it before the ground's end, where the proof is made. */
  owns<T extends AsyncDisposable>(resource: T): T {
    this.#connections.push(resource)
    return resource
  }

  async info(server: Commanded): Promise<ServerInfo> {
    return await server.ask('info') as ServerInfo
  }

  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    this.waitsFor = what
    while (!await condition()) await sleep(2)
    this.waitsFor = 'its next step'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#end()
    } finally {
      clearTimeout(this.#watchdog)
    }
  }

  async #end(): Promise<void> {
    this.waitsFor = 'its connections to close'
    for (const connection of this.#connections.splice(0).toReversed()) await connection[Symbol.asyncDispose]()
    for (const { child, before } of this.#servers) {
      if (!isAlive(child.pid)) continue
      const held = ({ open, mappings }: ServerInfo): string => `${open} descriptors, ${mappings} mappings`
      await this.until(`the server to give back what the connections held (${held(before)} before)`, async () => {
        const info = await this.info(child)
        this.waitsFor = `a server that held ${held(before)} before to hold no more: ${held(info)}, ${info.connections} connections, ${info.inHandlers} in handlers`
        return info.open <= before.open && info.mappings <= before.mappings && info.connections === 0
      })
      await child.ask('exit')
    }
    for (const child of this.#children) {
      if (this.#servers.some((one) => one.child === child)) await child.ended()
      await child.kill()
    }
    await this.#proveNothingLeft()
  }

  async #proveNothingLeft(): Promise<void> {
    this.waitsFor = 'what this process held to be given back'
    const end = performance.now() + 5000
    while ((openCount() > this.#open || mappingCount() > this.#mappings) && performance.now() < end) await sleep(2)
    assert.ok(openCount() <= this.#open, `descriptors left: ${openFiles().filter((name) => !this.#names.includes(name)).join(', ')}`)
    assert.equal(mappingCount(), this.#mappings, 'mappings left')
    await this.until('the channel name to be free', async () => (await errorOf(connect(this.channel, Everything))).code === 'NOT_FOUND')
  }
}

/** The RpcError that something throws or rejects with. */
export async function errorOf(work: Promise<unknown> | (() => unknown)): Promise<RpcError> {
  try {
    await (typeof work === 'function' ? work() : work)
  } catch (error) {
    assert.ok(RpcError.is(error), `not an RpcError: ${error instanceof Error ? error.stack : String(error)}`)
    return error
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' })
}
