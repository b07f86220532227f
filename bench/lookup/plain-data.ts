// The peers' side of the comparison: the same data as plain objects, used as one would use them.
import type { CompatData, CompatStatement, Identifier, SimpleSupportStatement, SupportStatement } from '@mdn/browser-compat-data/types'
import type { BrowserName } from '../../apps/compat-lookup/schema.js'
import { compatJson } from '../../apps/compat-lookup/server.js'
import type { CreateHandler } from '../peers/peer.js'

/** What a request asks for: all the data, a feature's whole record, or when one browser got the feature. */
export const ALL = ''
export const recordRequest = (feature: string): string => feature
export const factRequest = (feature: string, browser: BrowserName): string => `${feature} ${browser}`

/** The server of every peer: parses the package's JSON once, and finds a feature by one look in a Map. */
export const createHandler: CreateHandler = () => {
  const data = JSON.parse(compatJson()) as CompatData
  const index = new Map<string, CompatStatement | undefined>()
  for (const [name, feature] of featuresOf(data)) addTo(index, name, feature)
  return (request) => {
    if (request === ALL) return data
    const [feature = '', browser] = request.split(' ')
    const compat = index.get(feature)
    return browser === undefined || compat === undefined ? compat : versionAdded(compat, browser as BrowserName)
  }
}

export const PLAIN_HANDLER = import.meta.url

/** The top of the tree of features: everything but what is said about the data and the browsers. */
function featuresOf(data: CompatData): [string, Identifier][] {
  return Object.entries(data).filter(([name]) => name !== '__meta' && name !== 'browsers') as [string, Identifier][]
}

function addTo(index: Map<string, CompatStatement | undefined>, path: string, { __compat, ...children }: Identifier): void {
  index.set(path, __compat)
  for (const [name, child] of Object.entries(children)) addTo(index, `${path}.${name}`, child)
}

/** The version that the newest statement about a browser names. */
export function versionAdded({ support }: CompatStatement, browser: BrowserName): string | undefined {
  return newest(support[browser])?.version_added || undefined
}

function newest(support: SupportStatement | undefined): SimpleSupportStatement | undefined {
  return Array.isArray(support) ? support[0] : support
}

/** The walk of apps/compat-lookup/walk.ts, over plain objects. Of the ways to loop over an object's entries the fastest here. */
export function countSupportedPlain(data: CompatData, browser: BrowserName): number {
  let count = 0
  for (const [, feature] of featuresOf(data)) count += countBelow(feature, browser)
  return count
}

function countBelow(feature: Identifier, browser: BrowserName): number {
  let count = 0
  for (const [key, value] of Object.entries(feature)) {
    if (key === '__compat') count += supports(value as CompatStatement, browser) ? 1 : 0
    else count += countBelow(value as Identifier, browser)
  }
  return count
}

function supports({ support }: CompatStatement, browser: BrowserName): boolean {
  const statement = newest(support[browser])
  return statement !== undefined && statement.version_added !== false && statement.version_removed === undefined &&
    statement.flags === undefined
}
