// From the package's JSON to the plain form that the heap's `new` takes.
import type {
  BrowserStatement, CompatData, CompatStatement, Identifier, SimpleSupportStatement, SupportBlock, SupportStatement,
} from '@mdn/browser-compat-data/types'
import type { Plain } from 'rpcool'
import {
  Browser, type BrowserName, type Catalog, Compat, type Feature, Flag, Release, Statement, Status, Support,
} from './schema.js'

/** The data as a plain value of {@link Catalog}. Throws where the schema would lose something of it. */
export function plainCatalog(data: CompatData): Plain<typeof Catalog> {
  const { __meta, browsers, ...tree } = data
  onlyKnown(__meta, ['timestamp', 'version'], '__meta')
  const index = new Map<string, Plain<typeof Feature>>()
  const loader = new TreeLoader(index)
  return {
    version: __meta.version,
    timestamp: __meta.timestamp,
    browsers: Object.entries(browsers).map(([id, browser]) => [id, plainBrowser(id, browser)] as const),
    features: Object.entries(tree).map(([name, node]) => loader.feature(name, name, node)),
    index,
  }
}

const BROWSER = Object.keys(Browser.fields)
const RELEASE = Object.keys(Release.fields)
const STATEMENT = Object.keys(Statement.fields)
const FLAG = Object.keys(Flag.fields)
const SUPPORT = Object.keys(Support.fields)
const COMPAT = Object.keys(Compat.fields)
const STATUS = Object.keys(Status.fields)

function plainBrowser(id: string, browser: BrowserStatement): Plain<typeof Browser> {
  onlyKnown(browser, BROWSER, id)
  const releases = Object.entries(browser.releases)
  for (const [version, release] of releases) onlyKnown(release, RELEASE, `${id} ${version}`)
  return { ...browser, releases }
}

/** Builds the tree and shares equal support: of 300,000 statements some 8,000 differ. */
class TreeLoader {
  readonly #index: Map<string, Plain<typeof Feature>>
  readonly #supports = new Map<string, Plain<typeof Support>>()
  readonly #statements = new Map<string, Plain<typeof Statement>>()

  constructor(index: Map<string, Plain<typeof Feature>>) {
    this.#index = index
  }

  feature(path: string, name: string, { __compat, ...children }: Identifier): Plain<typeof Feature> {
    const feature = {
      name,
      compat: __compat === undefined ? null : this.#compat(path, __compat),
      children: [] as Plain<typeof Feature>[],
    }
    this.#index.set(path, feature)
    for (const [child, node] of Object.entries(children)) {
      if (child.includes('.')) throw new Error(`${path}: "${child}" has a dot, and features are looked up by dotted names`)
      feature.children.push(this.feature(`${path}.${child}`, child, node))
    }
    return feature
  }

  #compat(path: string, compat: CompatStatement): Plain<typeof Compat> {
    onlyKnown(compat, COMPAT, path)
    if (compat.status !== undefined) onlyKnown(compat.status, STATUS, path)
    return {
      description: compat.description,
      mdn_url: compat.mdn_url,
      source_file: compat.source_file,
      spec_url: oneOrMany(compat.spec_url, path),
      status: compat.status,
      support: this.#support(path, compat.support),
      tags: someOrNone(compat.tags, path),
    }
  }

  #support(path: string, support: SupportBlock): Plain<typeof Support> {
    return shared(this.#supports, support, () => {
      onlyKnown(support, SUPPORT, path)
      const made: { [Name in BrowserName]?: Plain<typeof Statement>[] } = {}
      for (const [browser, statement] of Object.entries(support)) {
        made[browser as BrowserName] = oneOrMany<SimpleSupportStatement>(statement satisfies SupportStatement, path)
          .map((one) => this.#statement(path, one))
      }
      return made
    })
  }

  #statement(path: string, statement: SimpleSupportStatement): Plain<typeof Statement> {
    return shared(this.#statements, statement, () => {
      onlyKnown(statement, STATEMENT, path)
      const flags = someOrNone(statement.flags, path)
      for (const flag of flags) onlyKnown(flag, FLAG, path)
      return {
        version_added: versionOrFalse(statement.version_added, path),
        version_removed: statement.version_removed,
        version_last: statement.version_last,
        prefix: statement.prefix,
        alternative_name: statement.alternative_name,
        flags,
        impl_url: oneOrMany<string>(statement.impl_url, path),
        partial_implementation: trueOrAbsent(statement.partial_implementation, path),
        notes: oneOrMany<string>(statement.notes, path),
      }
    })
  }
}

/** The value made of the first source that was equal to this one. */
function shared<Source, Made>(known: Map<string, Made>, source: Source, make: () => Made): Made {
  const key = JSON.stringify(source)
  let made = known.get(key)
  if (made === undefined) {
    made = make()
    known.set(key, made)
  }
  return made
}

function onlyKnown(value: object, names: readonly string[], where: string): void {
  for (const key of Object.keys(value)) {
    if (!names.includes(key)) throw new Error(`${where}: the schema has no field for "${key}"`)
  }
}

function oneOrMany<T extends object | string>(value: T | readonly T[] | undefined, where: string): readonly T[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) return [value as T]
  if (value.length < 2) throw new Error(`${where}: an array of ${value.length} would come back as the bare value`)
  return value as readonly T[]
}

function someOrNone<T>(value: readonly T[] | undefined, where: string): readonly T[] {
  if (value !== undefined && value.length === 0) throw new Error(`${where}: an empty array would be lost`)
  return value ?? []
}

function versionOrFalse(version: unknown, where: string): string | undefined {
  if (version === false) return undefined
  if (typeof version !== 'string') throw new Error(`${where}: version_added is ${JSON.stringify(version)}, not a version or false`)
  return version
}

function trueOrAbsent(value: unknown, where: string): boolean {
  if (value !== undefined && value !== true) throw new Error(`${where}: partial_implementation is ${JSON.stringify(value)}, not true`)
  return value === true
}
