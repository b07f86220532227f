import { RpcError } from '../../base/errors.js'
import { requireOptions } from '../../base/options.js'
import { describe, fingerprint, isType, type AnyType, type Plain, type TypeDescription, type View } from '../../objects/index.js'
import type { CallOptions } from './method.js'
import { NO_METHOD } from '../../layout/control-layout.js'
import { type Isolation, requireIsolation } from '../../safety/index.js'
import type { ServerCall } from '../server/server-call.js'

/** Names of a connection's own members: a method cannot have them. */
const RESERVED = new Set(['sync', 'heap', 'close', 'closed', 'pipeline', 'hugePageBytes', 'seals', 'opened', 'heaps', 'control', 'end', 'gone', 'toJSON', 'channel', 'server', 'grow', 'createScope', 'createScopePool', 'then', 'constructor', 'release', 'outstanding'])
const METHOD_ID_MAX = NO_METHOD - 1
const NAME_MAX = 128

/** One method: a number that both sides share, the type of its argument and of its result. */
export interface Method<Argument extends AnyType = AnyType, Result extends AnyType = AnyType> {
  readonly id: number
  readonly argument: Argument
  readonly result: Result
  /** What the server promises its handler about the argument. */
  readonly isolation: Isolation
}

/** What a method demands beyond its types. */
export interface MethodOptions {
  /**
   * Whether the argument can change under the handler: see {@link Isolation}. The server sees to it; where it needs the
   * client's help, for a seal, a client that does not give it is refused. `none` by default.
   */
  readonly isolation?: Isolation
}

/** A service's methods by name. */
export type Methods = Readonly<Record<string, Method>>

/** A named set of methods, the same value on both sides. */
export interface Service<M extends Methods = Methods> {
  readonly name: string
  readonly methods: M
  /** Tells whether two builds of the service are the same. */
  readonly fingerprint: string
  /** What the other side compares when the fingerprints differ: JSON. */
  readonly description: ServiceDescription
}

export interface MethodDescription {
  readonly name: string
  readonly argument: TypeDescription
  readonly result: TypeDescription
  /** Left out when it is none. */
  readonly isolation?: Isolation
}

export interface ServiceDescription {
  readonly service: string
  /** By method number. */
  readonly methods: Readonly<Record<string, MethodDescription>>
}

/** The argument of a call: nothing, a plain value, or a view into one of the connection's heaps. */
export type ArgumentOf<M> = M extends Method<infer A> ? Plain<A> : never

/** An argument that may be undefined may be left out. */
type ClientFunction<M, R> = M extends Method<infer A>
  ? undefined extends Plain<A> ? (argument?: Plain<A>, options?: CallOptions) => R : (argument: Plain<A>, options?: CallOptions) => R
  : never
/** A result: a copy for scalars, texts and bytes, otherwise a view whose disposal gives the result's memory back. */
export type Result<R> = R extends AnyType ? R extends { readonly kind: 'bytes' } ? View<R> : Held<View<R>> : never
type Held<V> = V extends object ? V & Disposable : V
/** What a call of a method gives. */
export type ResultOf<M> = M extends Method<AnyType, infer R> ? Result<R> : never

/** A service's methods as a client calls them: each gives a promise. */
export type AsyncMethods<M extends Methods> = { readonly [K in keyof M]: ClientFunction<M[K], Promise<ResultOf<M[K]>>> }
/** A service's methods as a client calls them and waits. */
export type SyncMethods<M extends Methods> = { readonly [K in keyof M]: ClientFunction<M[K], ResultOf<M[K]>> }

/** What a handler may return: a plain value, which becomes the client's, or a view, which stays whose it is. */
export type HandlerResult<M> = M extends Method<AnyType, infer R>
  ? R extends { readonly kind: 'nothing' } ? void | Promise<void> : Plain<R> | Promise<Plain<R>>
  : never

/** What `serve` is given: one function a method. */
export type Handlers<M extends Methods> = {
  readonly [K in keyof M]: (argument: M[K] extends Method<infer A> ? View<A> : never, call: ServerCall) => HandlerResult<M[K]>
}

/**
 * Declares a method.
 * @param id unique in its service; never reuse the number of a method that is gone.
 */
export function method<A extends AnyType, R extends AnyType>(id: number, argument: A, result: R, options: MethodOptions = {}): Method<A, R> {
  if (!Number.isInteger(id) || id < 0 || id > METHOD_ID_MAX) {
    throw new RpcError('INVALID_ARGUMENT', `a method's number must be an integer from 0 to ${METHOD_ID_MAX}, not ${String(id)}`)
  }
  if (!isType(argument) || !isType(result)) {
    throw new RpcError('INVALID_ARGUMENT', `method ${id} needs a type for its argument and one for its result; use "nothing" for none`)
  }
  requireOptions(`method ${id}`, options, { isolation: true })
  return { id, argument, result, isolation: requireIsolation(options.isolation ?? 'none', `method ${id}`) }
}

/** Declares a service. Adding methods, and fields at the end of structs, keeps old peers working. */
export function service<const M extends Methods>(name: string, methods: M): Service<M> {
  if (typeof name !== 'string' || name === '' || name.length > NAME_MAX) {
    throw new RpcError('INVALID_ARGUMENT', `a service needs a name of 1 to ${NAME_MAX} characters`)
  }
  const names = new Map<number, string>()
  for (const [key, declared] of Object.entries(methods)) {
    const { id } = requireMethod(name, key, declared)
    if (RESERVED.has(key) || key.startsWith('$')) {
      throw new RpcError('INVALID_ARGUMENT', `a method cannot be called "${key}": a connection has a member of that name`)
    }
    const other = names.get(id)
    if (other !== undefined) {
      throw new RpcError('INVALID_ARGUMENT', `methods "${other}" and "${key}" of service "${name}" have the same number ${id}`)
    }
    names.set(id, key)
  }
  return new DeclaredService(name, methods)
}

function requireMethod(service: string, key: string, declared: unknown): Method {
  if (typeof declared === 'object' && declared !== null && 'id' in declared && 'argument' in declared && 'result' in declared) {
    return declared as Method
  }
  throw new RpcError('INVALID_ARGUMENT', `"${key}" of service "${service}" is not a method: write ${key}: method(1, argumentType, resultType)`)
}

/** Refuses what is not a service. */
export function requireService(value: unknown): void {
  if (value instanceof DeclaredService) return
  if (typeof value === 'object' && value !== null && 'fingerprint' in value && 'methods' in value) return
  throw new RpcError('INVALID_ARGUMENT', 'the second argument is a service, made by service(name, { … }); both sides use the same one')
}

class DeclaredService<M extends Methods> implements Service<M> {
  #description: ServiceDescription | undefined
  #fingerprint: string | undefined

  constructor(readonly name: string, readonly methods: M) {}

  // Made on first use: structs may refer to types that are declared after the service.
  get description(): ServiceDescription {
    return (this.#description ??= {
      service: this.name,
      methods: Object.fromEntries(Object.entries(this.methods).map(([name, { id, argument, result, isolation }]) =>
        [id, { name, argument: describe(argument), result: describe(result), ...(isolation === 'none' ? {} : { isolation }) }])),
    })
  }

  get fingerprint(): string {
    return (this.#fingerprint ??= fingerprint(this.description))
  }
}
