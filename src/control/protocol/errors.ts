import { RpcError, type StatusName } from '../../base/errors.js'
import { ERROR_LENGTH_MAX } from './limits.js'

export interface Failure {
  readonly code: Exclude<StatusName, 'OK'>
  /** The sentence alone, without code and place, which the receiver's own RpcError adds again. */
  readonly message: string
}

/** An error as it travels: the receiver makes an RpcError of it again. What is no RpcError is UNKNOWN. */
export function failureOf(error: unknown): Failure {
  if (!RpcError.is(error)) return { code: 'UNKNOWN', message: cut(error instanceof Error ? error.message : String(error)) }
  return { code: error.code === 'OK' ? 'UNKNOWN' : error.code, message: cut(error.sentence) }
}

function cut(text: string): string {
  return text.length <= ERROR_LENGTH_MAX ? text : `${text.slice(0, ERROR_LENGTH_MAX - 1)}…`
}
