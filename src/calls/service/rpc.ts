import { RpcError } from '../../base/errors.js'
import { requireOptions } from '../../base/options.js'
import { isType, struct, text, type AnyType, type Plain, type View } from '../../objects/index.js'
import { ClientConnection } from '../client/client.js'
import { CONNECT_OPTIONS, type ConnectOptions } from '../client/connect-options.js'
import { type CallOptions, type ClientMethod, clientMethod, passing } from './method.js'
import type { ObjectHeap } from '../heaps/object-heap.js'
import type { Result } from './service.js'
import { Pipeline } from '../client/pipeline.js'
import { MethodTable } from '../server/method-table.js'
import { Server } from '../server/server.js'
import type { ServerConnection } from '../server/server-connection.js'
import { SERVER_OPTIONS, type ServerOptions } from '../server/server-options.js'

/** Both sides of the plain interface name this instead of a service's fingerprint. */
const PLAIN_FINGERPRINT = 'rpcool/rpc'
const StringObject = struct('String', { value: text })

/** A string that lies in a connection's heap: what is sent is a pointer to it. */
export class SharedString {
  /** @internal */
  constructor(readonly view: View<typeof StringObject>, readonly heap: ObjectHeap) {}

  toString(): string {
    return this.view.value
  }

  toJSON(): string {
    return this.view.value
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `SharedString '${this.view.value}'`
  }

  /** Frees the string. */
  [Symbol.dispose](): void {
    this.heap.free(this.view)
  }
}

/** The server's side of a connection, as {@link Rpc.accept} gives it. */
export class AcceptedConnection {
  readonly heap: ObjectHeap
  readonly #closed: Promise<void>

  /** @internal */
  constructor(readonly connection: ServerConnection) {
    this.heap = connection.heap
    this.#closed = new Promise((resolve) => {
      connection.onClose = (): void => resolve()
    })
  }

  /** Makes a string in the connection's heap. */
  newString(value: string): SharedString {
    return newString(this.heap, value)
  }

  /** Resolves when the connection has ended. Requests are served from the start; this waits, as the paper's server does. */
  listen(): Promise<void> {
    return this.#closed
  }
}

/** The client's side of a connection, as {@link Rpc.connect} gives it. */
export class RpcConnection implements AsyncDisposable {
  readonly heap: ObjectHeap
  readonly #methods = new Map<string, ClientMethod>()

  /** @internal */
  constructor(readonly connection: ClientConnection) {
    this.heap = connection.heap
  }

  /** Makes a string in the connection's heap. */
  newString(value: string): SharedString {
    return newString(this.heap, value)
  }

  /** Calls a function with a string and waits on this thread for the string that it answers. */
  callString(id: number, argument: SharedString, options?: CallOptions): SharedString {
    return new SharedString(this.call(id, StringObject, StringObject, argument.view, options), this.heap)
  }

  /** Calls and waits on this thread. */
  call<A extends AnyType, R extends AnyType>(id: number, argument: A, result: R, value: Plain<A>, options?: CallOptions): Result<R> {
    return this.connection.end.callSync(this.#method(id, argument, result), value, options) as Result<R>
  }

  /** Calls while the event loop goes on. */
  callAsync<A extends AnyType, R extends AnyType>(id: number, argument: A, result: R, value: Plain<A>, options?: CallOptions): Promise<Result<R>> {
    return this.connection.end.call(this.#method(id, argument, result), value, options) as Promise<Result<R>>
  }

  /** Many calls of one function in flight. */
  pipeline<A extends AnyType, R extends AnyType>(id: number, argument: A, result: R): Pipeline<Plain<A>, Result<R>> {
    return new Pipeline(this.connection.end, this.#method(id, argument, result))
  }

  close(): Promise<void> {
    return this.connection.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #method(id: number, argument: AnyType, result: AnyType): ClientMethod {
    const key = `${id} ${argument.label} ${result.label}`
    let method = this.#methods.get(key)
    if (method === undefined) {
      method = clientMethod({ id, isolation: 'none', argument, result }, String(id))
      this.#methods.set(key, method)
    }
    return method
  }
}

/** A function that an {@link Rpc} serves: it is given the connection and the argument. */
export type RpcFunction<Argument, Result> = (connection: AcceptedConnection, argument: Argument) => Result | Promise<Result>

/**
 * The paper's own interface (Figure 6): functions by number, no schema shared ahead. Both sides must agree on the types of
 * a function; a wrong guess reads as an error or as wrong values, never outside the connection's heaps.
 */
export class Rpc implements AsyncDisposable {
  readonly #functions = new MethodTable()
  readonly #waiting: { readonly resolve: (connection: AcceptedConnection) => void; readonly reject: (error: RpcError) => void }[] = []
  readonly #arrived: AcceptedConnection[] = []
  #channel: string | undefined
  #closed = false
  #server: Promise<Server> | undefined

  constructor(readonly options: ServerOptions & ConnectOptions = {}) {
    requireOptions('Rpc', options, { ...SERVER_OPTIONS, ...CONNECT_OPTIONS })
  }

  /** Names the channel to serve or to connect to. */
  open(channel: string): this {
    if (this.#server !== undefined) throw new RpcError('FAILED_PRECONDITION', `this Rpc serves ${this.#channel ?? ''} already`)
    this.#channel = channel
    return this
  }

  /** Adds a function from string to string; both are objects in the connection's heap. */
  add(id: number, fn: RpcFunction<SharedString, SharedString>): this
  /** Adds a function of given types. */
  add<A extends AnyType, R extends AnyType>(id: number, argument: A, result: R, fn: RpcFunction<View<A>, Plain<R>>): this
  add(id: number, ...rest: readonly unknown[]): this {
    if (rest.length === 1) {
      const fn = rest[0] as RpcFunction<SharedString, SharedString>
      this.#define(id, StringObject, StringObject, (connection, view) => {
        const result = fn(connection, new SharedString(view as View<typeof StringObject>, connection.heap))
        return result instanceof Promise ? result.then((string) => string.view) : result.view
      })
    } else {
      const [argument, result, fn] = rest as [AnyType, AnyType, RpcFunction<unknown, unknown>]
      if (!isType(argument) || !isType(result) || typeof fn !== 'function') {
        throw new RpcError('INVALID_ARGUMENT', `function ${id}: use add(number, fn) for strings, or add(number, argumentType, resultType, fn)`)
      }
      this.#define(id, argument, result, fn)
    }
    return this
  }

  /** Registers the channel, when that was not done yet: clients can connect from now on. */
  async listening(): Promise<void> {
    this.#server ??= Server.start(this.#name(), { fingerprint: PLAIN_FINGERPRINT, description: null, methods: this.#functions }, {
      ...this.options,
      onConnection: (connection) => {
        this.options.onConnection?.(connection)
        this.#arrive(connection)
      },
    })
    await this.#server
  }

  /** Waits for the next client; registers the channel when that was not done yet. */
  async accept(): Promise<AcceptedConnection> {
    await this.listening()
    const arrived = this.#arrived.shift()
    if (arrived !== undefined) return arrived
    if (this.#closed) throw this.#closedError()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
    })
  }

  /** Connects to the channel. */
  async connect(options: ConnectOptions = this.options): Promise<RpcConnection> {
    return new RpcConnection(await ClientConnection.open(this.#name(), { fingerprint: PLAIN_FINGERPRINT, description: null }, options))
  }

  /** Ends the server, when this side is one; who waits in {@link accept} is told by CANCELLED. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { reject } of this.#waiting.splice(0)) reject(this.#closedError())
    await (await this.#server)?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #closedError(): RpcError {
    return new RpcError('CANCELLED', `the server of ${this.#name()} is closed`)
  }

  #name(): string {
    if (this.#channel === undefined) throw new RpcError('FAILED_PRECONDITION', 'call open(channel) first')
    return this.#channel
  }

  #define(id: number, argument: AnyType, result: AnyType, fn: RpcFunction<unknown, unknown>): void {
    if (this.#functions.has(id)) throw new RpcError('ALREADY_EXISTS', `function ${id} was added already`)
    this.#functions.set({
      id,
      name: String(id),
      isolation: 'none',
      argument: passing(argument),
      result: passing(result),
      handler: { takes: 'peer', self: undefined, run: fn as (accepted: unknown, value: unknown) => unknown },
    })
  }

  #arrive(connection: ServerConnection): void {
    const accepted = new AcceptedConnection(connection)
    connection.peer = accepted
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#arrived.push(accepted)
    else waiting.resolve(accepted)
  }
}

function newString(heap: ObjectHeap, value: string): SharedString {
  return new SharedString(heap.new(StringObject, { value }), heap)
}
