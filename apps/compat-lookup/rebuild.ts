// The way back: from the objects in the heap to the package's JSON, to show that nothing is lost on the way in.
import { plain } from 'rpcool'
import {
  Support, type BrowserName, type BrowserView, type CatalogView, type CompatView, type FeatureView, type StatementView, type SupportView,
} from './schema.js'

type Json = string | number | boolean | readonly Json[] | JsonObject
interface JsonObject {
  [key: string]: Json
}

const BROWSERS = Object.keys(Support.fields) as BrowserName[]

/** The data as the package's `data.json` has it. */
export function rebuild({ version, timestamp, browsers, features }: CatalogView): JsonObject {
  return sorted({
    __meta: { timestamp, version },
    browsers: Object.fromEntries([...browsers].map(([id, browser]) => [id, rebuildBrowser(browser)])),
    ...rebuildTree(features),
  })
}

function rebuildTree(features: FeatureView['children']): JsonObject {
  const tree: JsonObject = {}
  for (const feature of features) if (feature !== null) tree[feature.name] = rebuildFeature(feature)
  return tree
}

function rebuildFeature({ compat, children }: FeatureView): JsonObject {
  return sorted({ __compat: compat === null ? undefined : rebuildCompat(compat), ...rebuildTree(children) })
}

function rebuildCompat({ description, mdn_url, source_file, spec_url, status, support, tags }: CompatView): JsonObject {
  return sorted({
    description,
    mdn_url,
    source_file,
    spec_url: bareOrArray([...spec_url]),
    status: status === undefined ? undefined : sorted(plain(status)),
    support: support === null ? {} : rebuildSupport(support),
    tags: arrayOrNothing([...tags]),
  })
}

function rebuildSupport(support: SupportView): JsonObject {
  return sorted(Object.fromEntries(BROWSERS.map((browser) => [
    browser, bareOrArray([...support[browser]].map((statement) => (statement === null ? {} : rebuildStatement(statement)))),
  ])))
}

function rebuildStatement(statement: StatementView): JsonObject {
  const { version_added, version_removed, version_last, prefix, alternative_name, flags, impl_url, partial_implementation, notes } = statement
  return sorted({
    version_added: version_added ?? false,
    version_removed,
    version_last,
    prefix,
    alternative_name,
    flags: arrayOrNothing([...flags].map((flag) => sorted(plain(flag)))),
    impl_url: bareOrArray([...impl_url]),
    partial_implementation: partial_implementation || undefined,
    notes: bareOrArray([...notes]),
  })
}

function rebuildBrowser(browser: BrowserView): JsonObject {
  const { name, type, upstream, preview_name, pref_url, accepts_flags, accepts_webextensions, releases } = browser
  return sorted({
    name,
    type,
    upstream,
    preview_name,
    pref_url,
    accepts_flags,
    accepts_webextensions,
    releases: Object.fromEntries([...releases].map(([version, release]) => [version, sorted(plain(release))])),
  })
}

/** Keys in the package's order, which is by character code; those without a value are left out. */
function sorted(object: Readonly<Record<string, Json | undefined>>): JsonObject {
  const result: JsonObject = {}
  for (const key of Object.keys(object).sort()) {
    const value = object[key]
    if (value !== undefined) result[key] = value
  }
  return result
}

function bareOrArray(values: readonly Json[]): Json | undefined {
  return values.length === 1 ? values[0] : arrayOrNothing(values)
}

function arrayOrNothing(values: readonly Json[]): Json | undefined {
  return values.length === 0 ? undefined : values
}
