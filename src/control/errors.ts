import { RpcError, type StatusName } from '../base/errors.js'
import { ERROR_LENGTH_MAX } from './limits.js'

export interface Failure {
  readonly code: Exclude<StatusName, 'OK'>
  /** The sentence alone, without code and place, which the receiver's own RpcError adds again. */
  readonly message: string
}

/** An error as it travels: the receiver makes an RpcError of it again. What is no RpcError is UNKNOWN. */
export function failureOf(error: unknown): Failure {
  if (!RpcError.is(error)) return { code: 'UNKNOWN', message: cut(error instanceof Error ? error.message : String(error)) }
  const where = error.method === undefined ? error.channel : `${error.channel ?? ''}#${error.method}`
  const prefix = `${error.code}: `
  const suffix = where === undefined ? '' : ` [${where}]`
  let text = error.message
  if (text.startsWith(prefix)) text = text.slice(prefix.length)
  if (suffix !== '' && text.endsWith(suffix)) text = text.slice(0, -suffix.length)
  return { code: error.code === 'OK' ? 'UNKNOWN' : error.code, message: cut(text) }
}

function cut(text: string): string {
  return text.length <= ERROR_LENGTH_MAX ? text : `${text.slice(0, ERROR_LENGTH_MAX - 1)}…`
}
