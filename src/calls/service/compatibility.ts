import { compareDescriptions } from '../../objects/index.js'
import type { MethodDescription, ServiceDescription } from './service.js'

/** Differences named in one message: the first ones tell enough. */
const NAMED_MAX = 5

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * What keeps two builds of a service from understanding each other, in sentences; empty when they do. A method that only
 * one of them has is no difference. `mine` is the server's, `theirs` comes from the client: any JSON value.
 */
export function serviceDifferences(mine: ServiceDescription, theirs: unknown): string[] {
  if (!isObject(theirs) || !isObject(theirs['methods']) || typeof theirs['service'] !== 'string') {
    return ['the peer describes its service in a form that this version of rpcool does not know']
  }
  if (theirs['service'] !== mine.service) return [`here the service is "${mine.service}", there "${theirs['service']}"`]
  const differences: string[] = []
  for (const [id, method] of Object.entries(mine.methods)) {
    const other = Object.hasOwn(theirs['methods'], id) ? theirs['methods'][id] : undefined
    if (other !== undefined) differences.push(...methodDifferences(id, method, other))
  }
  return differences.length > NAMED_MAX
    ? [...differences.slice(0, NAMED_MAX), `and ${differences.length - NAMED_MAX} more differences`]
    : differences
}

function methodDifferences(id: string, mine: MethodDescription, theirs: unknown): string[] {
  if (!isObject(theirs)) return [`method ${id} (${mine.name}) is not described`]
  if (theirs['name'] !== mine.name) return [`method ${id} is "${mine.name}" here and "${String(theirs['name'])}" there`]
  return [
    ...isolationDifferences(mine, theirs['isolation']),
    ...compareDescriptions(mine.argument, theirs['argument']).map((line) => `argument of ${mine.name}: ${line}`),
    ...compareDescriptions(mine.result, theirs['result']).map((line) => `result of ${mine.name}: ${line}`),
  ]
}

/** A copy the server makes by itself; a seal it can only demand. */
function isolationDifferences(mine: MethodDescription, theirs: unknown): string[] {
  if (mine.isolation !== 'seal' || theirs === 'seal') return []
  return [`${mine.name} demands that its argument is sealed, and the client would not seal it: give its method isolation: 'seal' there, too`]
}
