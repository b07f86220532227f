// What the tests with real processes share: a runtime directory per test, children that end with it, waits with a name.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { DaemonClient, type MemoryGrant } from '../../src/control/index.js'

const WATCHDOG_MS = 60_000

/** A test's own daemon directory; its clients, children and, in the end, its daemon end with it. */
export class Workspace implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'rpc-'))
  readonly #clients: DaemonClient[] = []
  readonly #children: Child[] = []
  readonly #daemons = new Set<number>()
  readonly #watchdog: NodeJS.Timeout
  /** What the watchdog says the test was waiting for. */
  waitsFor = 'its first step'

  constructor(t: TestContext) {
    this.#watchdog = setTimeout(() => {
      process.stderr.write(`the test "${t.name}" hangs; it waits for ${this.waitsFor}\n`)
      process.exit(1)
    }, WATCHDOG_MS)
  }

  client(): DaemonClient {
    const client = new DaemonClient({ directory: this.directory })
    this.#clients.push(client)
    return client
  }

  async daemonPid(client: DaemonClient): Promise<number> {
    const { pid } = await client.connect()
    this.#daemons.add(pid)
    return pid
  }

  async child(): Promise<Child> {
    const child = new Child(this.directory)
    this.#children.push(child)
    await this.until('a child to start', () => child.started)
    return child
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    this.waitsFor = what
    while (!condition()) await sleep(5)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child.kill()
    for (const client of this.#clients) client.close()
    for (const pid of this.#daemons) await this.until(`the daemon ${pid} to end by itself`, () => !isAlive(pid))
    clearTimeout(this.#watchdog)
    rmSync(this.directory, { recursive: true, force: true })
  }
}

interface Reply {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly code: string, readonly message: string }
  readonly event?: string
}

/** A process with a DaemonClient (participant-main.ts), told what to do. */
export class Child {
  readonly events: string[] = []
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  readonly #ended: Promise<void>
  #nextId = 1
  started = false

  constructor(directory: string) {
    this.#process = spawn(process.execPath, [fileURLToPath(new URL('./participant-main.js', import.meta.url))], {
      env: { ...process.env, RPCOOL_RUNTIME_DIR: directory, NODE_OPTIONS: '--no-warnings' }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#process.on('message', (reply: Reply) => {
      if (reply.event === 'started') this.started = true
      else if (reply.event !== undefined) this.events.push(reply.event)
      else this.#waiting.get(reply.id ?? 0)?.(reply)
    })
    this.#ended = new Promise((resolve) => this.#process.once('exit', () => resolve()))
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  async do(command: string, ...args: readonly unknown[]): Promise<unknown> {
    const id = this.#nextId++
    const reply = await new Promise<Reply>((resolve) => {
      this.#waiting.set(id, resolve)
      this.#process.send({ id, command, args })
    })
    if (reply.error !== undefined) throw Object.assign(new Error(reply.error.message), reply.error)
    return reply.result
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill('SIGKILL')
    await this.#ended
  }
}

export function isAlive(pid: number): boolean {
  try {
    // A zombie that its parent has not asked for yet is dead.
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** What a process has open, as the kernel calls it. */
export function openFiles(pid: number | 'self' = 'self'): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })
}

export function memoryFiles(pid: number | 'self' = 'self'): number {
  return openFiles(pid).filter((name) => name.startsWith('/memfd:rpcool')).length
}

export function closeGrants(...grants: ReadonlyArray<MemoryGrant | undefined>): void {
  for (const grant of grants) grant?.close()
}

export async function assertRejects(promise: Promise<unknown>, code: string | RegExp, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error)
    if (typeof code === 'string') assert.equal(error.code, code, error.message)
    else assert.match(String(error.code), code)
    assert.match(error.message, message)
    return true
  })
}
