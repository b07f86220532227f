import { RpcError } from '../../base/errors.js'
import { INFO_LENGTH_MAX } from '../protocol/limits.js'
import type { Json } from '../protocol/types.js'

/** An info as it travels. Throws INVALID_ARGUMENT when it is too long. */
export function encodeInfo(info: Json | undefined): string {
  const text = JSON.stringify(info ?? null)
  if (text.length > INFO_LENGTH_MAX) {
    throw new RpcError('INVALID_ARGUMENT', `an info has ${text.length} characters as JSON, where ${INFO_LENGTH_MAX} are allowed`)
  }
  return text
}

/** What somebody sent as an info: not checked, undefined when it is not JSON. */
export function decodeInfo(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
