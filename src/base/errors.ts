/**
 * Status codes of a call: the sixteen of gRPC, the same numbers on the wire.
 * Source: gRPC's status code list (github.com/grpc/grpc, doc/statuscodes.md).
 */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const

/** The name of a status, as in `RpcError.code`. */
export type StatusName = keyof typeof Status
/** The number of a status, as in `RpcError.status`. */
export type StatusCode = (typeof Status)[StatusName]

const namesByCode: ReadonlyMap<number, StatusName> = new Map(
  (Object.keys(Status) as StatusName[]).map((name) => [Status[name], name]),
)

/** The name of a status code that came from a peer; an unknown number is UNKNOWN. */
export function statusName(code: number): StatusName {
  return namesByCode.get(code) ?? 'UNKNOWN'
}

/** Where an error happened, and what it was caused by. */
export interface RpcErrorOptions {
  readonly cause?: unknown
  readonly channel?: string | undefined
  readonly method?: string | undefined
}

// Shared by every copy of the package in the process, so that `RpcError.is` works across ESM, CommonJS and versions.
const brand = Symbol.for('rpcool.RpcError')

/**
 * The one error class of RPCool: a status and a sentence that says what was wrong and what to do.
 * Thrown by the library for a mistake of the user or of the peer, and by handlers to answer with a chosen status.
 */
export class RpcError extends Error {
  override readonly name: string = 'RpcError'
  readonly code: StatusName
  /** The number of {@link code}, as on the wire. */
  readonly status: StatusCode
  /** The message without code and place. */
  readonly sentence: string
  readonly channel: string | undefined
  readonly method: string | undefined;
  readonly [brand] = true

  constructor(code: StatusName, message: string, options: RpcErrorOptions = {}) {
    const where = options.method === undefined ? options.channel : `${options.channel ?? ''}#${options.method}`
    super(where === undefined ? `${code}: ${message}` : `${code}: ${message} [${where}]`,
      options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.status = Status[code]
    this.sentence = message
    this.channel = options.channel
    this.method = options.method
  }

  /** Whether a value is an RpcError, of this copy of the package or of another one in the process. */
  static is(value: unknown): value is RpcError {
    return typeof value === 'object' && value !== null && brand in value
  }
}

/**
 * The error, with the stack of whoever awaits it: one that came with a message of another process knows that of the event loop only.
 * To be called where it is caught in an async function.
 */
export function toldHere(error: unknown): unknown {
  if (RpcError.is(error)) Error.captureStackTrace(error, toldHere)
  return error
}

/** A write to memory that was given up under a seal: its call is in flight. */
export class SealedError extends RpcError {
  override readonly name = 'SealedError'

  constructor(message: string, options: RpcErrorOptions = {}) {
    super('FAILED_PRECONDITION', message, options)
  }
}

/** A pointer read from shared memory led outside its region, or to something that is not what its type says. */
export class WildPointerError extends RpcError {
  override readonly name = 'WildPointerError'

  constructor(message: string, options: RpcErrorOptions = {}) {
    super('INVALID_ARGUMENT', message, options)
  }
}
