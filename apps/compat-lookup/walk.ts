// What clients do with the data, by following pointers: nothing is copied, nothing is parsed.
import type { BrowserName, CatalogView, FeatureView } from './schema.js'

/** Whether the newest statement about a browser says that it has the feature, now and without a flag. */
export function supports(feature: FeatureView, browser: BrowserName): boolean {
  const statement = feature.compat?.support?.[browser].at(0)
  return statement?.version_added !== undefined && statement.version_removed === undefined && statement.flags.length === 0
}

/** How many features of the whole tree a browser supports. */
export function countSupported({ features }: CatalogView, browser: BrowserName): number {
  let count = 0
  for (const feature of features) if (feature !== null) count += countBelow(feature, browser)
  return count
}

function countBelow(feature: FeatureView, browser: BrowserName): number {
  let count = supports(feature, browser) ? 1 : 0
  for (const child of feature.children) if (child !== null) count += countBelow(child, browser)
  return count
}
