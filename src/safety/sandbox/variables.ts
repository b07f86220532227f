import { RpcError } from '../../base/errors.js'
import { isView } from '../../objects/index.js'

/** Levels of objects and arrays in the variables of a sandbox: they are copied on each entry. */
const DEPTH_MAX = 32

/**
 * A copy of what a sandbox is given (paper, 5.2): nothing that happens inside changes the original. Objects, arrays, typed
 * arrays, Map, Set, Date.
 * @throws RpcError INVALID_ARGUMENT for views and functions, which lead out of the sandbox.
 */
export function copyIn<V>(value: V, depth = 0): V {
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'function') throw new RpcError('INVALID_ARGUMENT', 'a function cannot be a variable of a sandbox: it would lead out of it')
    return value
  }
  if (isView(value)) throw new RpcError('INVALID_ARGUMENT', 'a view cannot be a variable of a sandbox: give plain(view), or reach it inside by inside.at')
  if (depth === DEPTH_MAX) throw new RpcError('INVALID_ARGUMENT', `variables of a sandbox are nested at most ${DEPTH_MAX} deep`)
  if (Array.isArray(value)) return value.map((element: unknown) => copyIn(element, depth + 1)) as V
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return cloned(value)
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) copy[key] = copyIn((value as Record<string, unknown>)[key], depth + 1)
  return copy as V
}

function cloned<V>(value: V): V {
  try {
    return structuredClone(value)
  } catch (cause) {
    throw new RpcError('INVALID_ARGUMENT', 'a variable of a sandbox holds something that cannot be copied', { cause })
  }
}
