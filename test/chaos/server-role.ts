// The server of the storm: what it is told of its clients' deaths, and what it then still holds of them.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { RpcError, serve, type Server, type ServerOptions } from '../../src/index.js'
import { mappingCount } from '../../src/sys/index.js'
import { Everything, everyHandler, Gates } from '../support/everything.js'
import { openCount } from '../support/leaks.js'

export interface ServerOrder {
  readonly channel: string
  readonly sharedHeapBytes?: number
}

export interface Settled {
  /** Clients that had connected and whose deaths the server was told of. */
  readonly crashed: number
  /** Handlers that were at work for a client that died, and were told by their signal. */
  readonly aborted: number
}

/** Serves, however often the daemon dies meanwhile. */
async function servePatiently(...args: Parameters<typeof serve<(typeof Everything)['methods']>>): Promise<Server> {
  for (;;) {
    try {
      return await serve(...args)
    } catch (error) {
      if (!RpcError.is(error) || error.code !== 'UNAVAILABLE') throw error
      await sleep(10)
    }
  }
}

export class ServerRole {
  readonly #held = new Map<string, () => void>()
  readonly #connected: number[] = []
  readonly #closed: { readonly pid: number, readonly crashed: boolean }[] = []
  readonly #errors: string[] = []
  readonly #openBefore = openCount()
  readonly #mappingsBefore = mappingCount()
  #server: Server | undefined
  #openServing = 0
  #mappingsServing = 0
  #heapBytes = 0
  #aborted = 0

  static async start({ channel, sharedHeapBytes }: ServerOrder): Promise<ServerRole> {
    const role = new ServerRole()
    const handlers = { ...everyHandler(new Gates()), hold: role.#hold.bind(role), free: role.#free.bind(role) }
    const options: ServerOptions = {
      ...(sharedHeapBytes === undefined ? {} : { sharedHeapBytes }),
      onError: (error, method) => role.#errors.push(`${method}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`),
      onConnection: (connection) => {
        const { pid } = connection.caller
        role.#connected.push(pid)
        connection.onClose = (crashed): void => {
          role.#closed.push({ pid, crashed })
        }
      },
    }
    role.#server = await servePatiently(channel, Everything, handlers, options)
    role.#openServing = openCount()
    role.#mappingsServing = mappingCount()
    if (sharedHeapBytes !== undefined) role.#heapBytes = role.#ownedAndFree()
    return role
  }

  /** Answers when the client lets it go, or nobody waits for it any more. */
  async #hold(key: string, { signal }: { readonly signal: AbortSignal }): Promise<string> {
    await new Promise<void>((resolve) => {
      const told = (): void => {
        this.#aborted++
        this.#held.delete(key)
        resolve()
      }
      this.#held.set(key, resolve)
      if (signal.aborted) told()
      else signal.addEventListener('abort', told, { once: true })
    })
    return key
  }

  #free(key: string): void {
    this.#held.get(key)?.()
    this.#held.delete(key)
  }

  get #serving(): Server {
    assert.ok(this.#server !== undefined)
    return this.#server
  }

  #ownedAndFree(): number {
    const { heap } = this.#serving
    heap.collect()
    const { ownedBytes, freeBytes } = heap.stats()
    return ownedBytes + freeBytes
  }

  /** Waits until nothing of the dead is left here: `clients` are the connections of the living, which are at rest. */
  async settle(clients: readonly number[]): Promise<Settled> {
    const server = this.#serving
    const living = [...clients].sort((a, b) => a - b)
    const here = (): string => server.connections.map(({ caller }) => caller.pid).sort((a, b) => a - b).join()
    const end = performance.now() + 30_000
    while (here() !== living.join() || server.connectionCount !== living.length || server.inHandlers > 0) {
      assert.ok(performance.now() < end, `connections of ${here()} and ${server.inHandlers} handlers are left; the living are ${living.join()}`)
      await sleep(1)
    }
    assert.deepEqual(this.#errors, [])
    assert.equal(this.#held.size, 0, 'handlers were not told')
    const gone = this.#closed.splice(0)
    for (const pid of living) this.#connected.splice(this.#connected.indexOf(pid), 1)
    const told = gone.map(({ pid }) => pid).sort((a, b) => a - b)
    assert.deepEqual(told, this.#connected.splice(0).sort((a, b) => a - b), 'each connection that ended was told once')
    this.#connected.push(...living)
    const aborted = this.#aborted
    this.#aborted = 0
    return { crashed: gone.filter(({ crashed }) => crashed).length, aborted }
  }

  /** All clients have gone: their memory is back, and a shared heap's belongs to the living or is free. */
  async account(): Promise<void> {
    const end = performance.now() + 30_000
    while (mappingCount() > this.#mappingsServing || openCount() > this.#openServing) {
      assert.ok(performance.now() < end, `${mappingCount()} mappings of ${this.#mappingsServing}, ${openCount()} files of ${this.#openServing} before`)
      await sleep(1)
    }
    if (this.#heapBytes === 0) return
    while (this.#ownedAndFree() !== this.#heapBytes) {
      assert.ok(performance.now() < end, `${this.#ownedAndFree()} bytes of ${this.#heapBytes} are owned by the living or free`)
      await sleep(1)
    }
  }

  async stop(): Promise<void> {
    await this.#serving.close()
    const end = performance.now() + 30_000
    while (mappingCount() > this.#mappingsBefore || openCount() > this.#openBefore) {
      assert.ok(performance.now() < end, `${mappingCount() - this.#mappingsBefore} mappings and ${openCount() - this.#openBefore} files are left`)
      await sleep(1)
    }
  }
}
