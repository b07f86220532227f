import { RpcError } from '../base/errors.js'

/**
 * The promise that a handler's argument does not change under it (paper, 4.5):
 *
 * - `none`: the handler reads what the client can still write;
 * - `snapshot`: the server copies the argument into private memory first;
 * - `seal`: the client loses write access to the argument's scope while the call is in flight;
 * - `auto`: whichever of the two is cheaper for the argument's size.
 */
export type Isolation = 'none' | 'snapshot' | 'seal' | 'auto'

const KNOWN: ReadonlySet<unknown> = new Set<Isolation>(['none', 'snapshot', 'seal', 'auto'])

/** Refuses what is no isolation; `where` names the place. */
export function requireIsolation(value: unknown, where: string): Isolation {
  if (KNOWN.has(value)) return value as Isolation
  throw new RpcError('INVALID_ARGUMENT', `${where}: isolation is 'none', 'snapshot', 'seal' or 'auto', not ${String(value)}`)
}
