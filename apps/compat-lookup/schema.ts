// @mdn/browser-compat-data as typed objects. Fields have the package's own names, so its documentation is theirs too.
//
// Three habits of the package have a simpler form here, and load.ts refuses data that would not survive them:
//   - "one, or an array of at least two" (support, notes, spec_url, impl_url) is a list: a list of one is the bare value;
//   - an array that is there only with something in it (tags, flags) is a list, empty when it is not there;
//   - version_added, "a version or false", is an optional text: absent stands for false.
import { bool, list, map, optional, ref, struct, text, u32, type View } from 'rpcool'

export const Flag = struct('Flag', { type: text, name: text, value_to_set: optional(text) })

/** How one browser supports a feature, over some span of versions. */
export const Statement = struct('Statement', {
  version_added: optional(text),
  version_removed: optional(text),
  version_last: optional(text),
  prefix: optional(text),
  alternative_name: optional(text),
  flags: list(Flag),
  impl_url: list(text),
  partial_implementation: bool,
  notes: list(text),
})

/** What a browser says about a feature, latest first; empty when it says nothing. */
const statements = list(ref(Statement))

/** By browser. Thousands of features have equal support: they point to the same object, as their statements do. */
export const Support = struct('Support', {
  bun: statements,
  chrome: statements,
  chrome_android: statements,
  deno: statements,
  edge: statements,
  firefox: statements,
  firefox_android: statements,
  ie: statements,
  nodejs: statements,
  oculus: statements,
  opera: statements,
  opera_android: statements,
  safari: statements,
  safari_ios: statements,
  samsunginternet_android: statements,
  webview_android: statements,
  webview_ios: statements,
})

export const Status = struct('Status', { deprecated: bool, experimental: bool, standard_track: bool })

/** What the package keeps under `__compat`. */
export const Compat = struct('Compat', {
  description: optional(text),
  mdn_url: optional(text),
  source_file: text,
  spec_url: list(text),
  status: optional(Status),
  support: ref(Support),
  tags: list(text),
})

/** A node of the tree of features. */
export const Feature = struct('Feature', {
  name: text,
  compat: ref(Compat),
  get children() {
    return list(ref(Feature))
  },
})

export const Release = struct('Release', {
  index: u32,
  release_date: optional(text),
  release_notes: optional(text),
  status: text,
  engine: optional(text),
  engine_version: optional(text),
})

export const Browser = struct('Browser', {
  name: text,
  type: text,
  upstream: optional(text),
  preview_name: optional(text),
  pref_url: optional(text),
  accepts_flags: bool,
  accepts_webextensions: bool,
  releases: map(text, Release),
})

export const Catalog = struct('Catalog', {
  version: text,
  timestamp: text,
  browsers: map(text, Browser),
  /** The top of the tree: `api`, `css`, `html` … */
  features: list(ref(Feature)),
  /** Every feature by its whole name, such as `api.AbortController.abort`. */
  index: map(text, ref(Feature)),
})

export type StatementView = View<typeof Statement>
export type SupportView = View<typeof Support>
export type CompatView = View<typeof Compat>
export type FeatureView = View<typeof Feature>
export type BrowserView = View<typeof Browser>
export type CatalogView = View<typeof Catalog>
export type BrowserName = keyof SupportView
