import { RpcError } from '../../base/errors.js'
import { requireOptions } from '../../base/options.js'
import { ClientConnection } from '../client/client.js'
import { CONNECT_OPTIONS, type ConnectOptions } from '../client/connect-options.js'
import { type CallOptions, type ClientMethod, clientMethod, passing } from './method.js'
import type { ServerCall } from '../server/server-call.js'
import { MethodTable } from '../server/method-table.js'
import { Server } from '../server/server.js'
import { SERVER_OPTIONS, type ServerOptions } from '../server/server-options.js'
import { Pipeline } from '../client/pipeline.js'
import { SealedPipeline } from '../client/sealed-pipeline.js'
import { type ArgumentOf, type AsyncMethods, type Handlers, type Methods, requireService, type ResultOf, type Service, type SyncMethods } from './service.js'

/** A connection to a typed service: its methods as functions, and the same under `sync`. */
export type Connection<M extends Methods> = AsyncMethods<M> & ClientConnection & {
  /** Calls that wait on this thread: sub-microsecond when the server is busy polling. */
  readonly sync: SyncMethods<M>
  /** Many calls of one method in flight, without a promise each. */
  pipeline<K extends keyof M>(name: K): Pipeline<ArgumentOf<M[K]>, ResultOf<M[K]>>
}

type HandlerFunction = (this: unknown, argument: unknown, call?: ServerCall) => unknown

/**
 * Serves a service on a channel.
 * @param channel hierarchical, such as `rack1/users/search`
 * @param handlers one function a method; sync or async. It is given the argument, as a view where the type is a struct or
 *   container, and the {@link ServerCall}. Arguments are the client's: what outlives the call must be copied.
 */
export async function serve<M extends Methods>(
  channel: string, service: Service<M>, handlers: Handlers<M>, options: ServerOptions = {},
): Promise<Server> {
  requireService(service)
  requireOptions('serve', options, SERVER_OPTIONS)
  if (typeof handlers !== 'object' || handlers === null) {
    throw new RpcError('INVALID_ARGUMENT', `the third argument is an object with a handler for each method of service "${service.name}"`)
  }
  const methods = new MethodTable()
  for (const [name, { id, argument, result, isolation }] of Object.entries(service.methods)) {
    const handler: unknown = (handlers as Record<string, unknown>)[name]
    if (typeof handler !== 'function') {
      throw new RpcError('INVALID_ARGUMENT', `service "${service.name}" needs a handler for its method "${name}"`)
    }
    methods.set({
      id,
      name,
      isolation,
      argument: passing(argument),
      result: passing(result),
      handler: handler.length > 1
        ? { takes: 'call', self: handlers, run: handler as HandlerFunction }
        : { takes: 'argument', self: handlers, run: handler as HandlerFunction },
    })
  }
  for (const name of Object.keys(handlers)) {
    if (!Object.hasOwn(service.methods, name)) {
      throw new RpcError('INVALID_ARGUMENT', `service "${service.name}" has no method "${name}"; its handler would never run`)
    }
  }
  return Server.start(channel, { fingerprint: service.fingerprint, description: service.description, methods }, options)
}

/** Connects to a channel that serves a service. The connection is the caller's to close. */
export async function connect<M extends Methods>(channel: string, service: Service<M>, options: ConnectOptions = {}): Promise<Connection<M>> {
  requireService(service)
  requireOptions('connect', options, CONNECT_OPTIONS)
  const sealing = new Set(Object.values(service.methods).map(({ isolation }) => isolation).filter((one) => one === 'seal' || one === 'auto'))
  const connection = await ClientConnection.open(channel, { fingerprint: service.fingerprint, description: service.description, sealing }, options)
  const { end } = connection
  const sync: Record<string, unknown> = {}
  const compiled = new Map<string, ClientMethod>()
  const methods: Record<string, unknown> = {
    sync,
    pipeline: (name: string) => {
      const method = compiled.get(name)
      if (method === undefined) throw new RpcError('INVALID_ARGUMENT', `service "${service.name}" has no method "${name}"`)
      return method.sealing ? new SealedPipeline(end, method) : new Pipeline(end, method)
    },
  }
  for (const [name, declared] of Object.entries(service.methods)) {
    const method = clientMethod(declared, name)
    compiled.set(name, method)
    methods[name] = (value: unknown, callOptions?: CallOptions): unknown => end.call(method, value, callOptions)
    sync[name] = (value: unknown, callOptions?: CallOptions): unknown => end.callSync(method, value, callOptions)
  }
  return Object.assign(connection, methods) as Connection<M>
}
