// What Tab offers: commands, and behind them what their words may be.
import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isJson, plain } from 'rpcool'
import type { StoreClient } from '../client.js'
import { TEST_KEYS } from '../store/filter.js'
import { spellKey } from '../store/values.js'
import { COMMANDS, type WordKind } from './commands.js'
import { quoted } from './words.js'

/** Documents looked at for paths to complete. */
const SAMPLE = 20
/** Of one document: a dictionary of thousands of keys is no help. */
const PATHS_MAX = 200

/** What the last word of a line can become, and that word: the form that readline asks for. */
export async function complete(client: StoreClient, line: string): Promise<[string[], string]> {
  const [, name = '', tail] = /^\s*(\S*)(\s[^]*)?$/.exec(line) ?? []
  if (tail === undefined) return among([...Object.keys(COMMANDS), 'help', 'exit'].map((one) => `${one} `), name)
  const kinds = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]!.words : []
  let rest = tail.trimStart()
  for (const kind of kinds) {
    if (kind === 'filter' || kind === 'limited') return inFilter(client, rest, kind === 'limited')
    const [word] = /^(?:"(?:[^"\\]|\\.)*"|[^\s"]\S*)\s+/.exec(rest) ?? []
    if (word === undefined) return inWord(client, rest, kind)
    rest = rest.slice(word.length)
  }
  return [[], rest]
}

async function inWord(client: StoreClient, word: string, kind: WordKind): Promise<[string[], string]> {
  switch (kind) {
    case 'path': return among(pathsOf(client).map(quoted), word)
    case 'paths': return among(pathsOf(client).map(quoted), word.slice(word.lastIndexOf(',') + 1))
    case 'index': return among((await client.indexes()).map(({ path }) => quoted(path)), word)
    case 'kind': return among(['hash', 'ordered'], word)
    case 'file': return among(filesAt(word), word)
    case 'key': case 'json': case 'filter': case 'limited': default: return [[], word]
  }
}

/** In a filter, or behind it. */
function inFilter(client: StoreClient, text: string, limited: boolean): [string[], string] {
  const { depth, key } = placeAtEnd(text)
  if (key !== undefined && depth === 1) return among(pathsOf(client).map((path) => `${JSON.stringify(path).slice(1, -1)}": `), key)
  if (key !== undefined && depth === 2) return among(TEST_KEYS.map((test) => `${test}": `), key)
  const word = /[^\s{}]*$/.exec(text)?.[0] ?? ''
  return depth === 0 && limited && !word.includes('"') ? among(['limit '], word) : [[], word]
}

/** How deep JSON that goes on is nested where it breaks off, and the key that is being written there. */
function placeAtEnd(json: string): { readonly depth: number, readonly key: string | undefined } {
  const open: string[] = []
  let isKey = false
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"?|[{}[\],:]/g)) {
    if (token.startsWith('"')) {
      const isWhole = token.length > 1 && /[^\\](?:\\\\)*"$|^"(?:\\\\)*"$/.test(token)
      if (!isWhole) return { depth: open.length, key: isKey ? token.slice(1) : undefined }
    } else if (token === '{' || token === '[') open.push(token)
    else if (token === '}' || token === ']') open.pop()
    isKey = token === '{' || (token === ',' && open.at(-1) === '{')
  }
  return { depth: open.length, key: undefined }
}

function among(choices: readonly string[], word: string): [string[], string] {
  return [choices.filter((choice) => choice.startsWith(word)).sort(), word]
}

/** Of some documents. */
function pathsOf(client: StoreClient): string[] {
  const paths = new Set<string>()
  using some = client.sync.find({}, { limit: SAMPLE })
  for (const { body } of some) if (isJson(body)) addPaths(plain(body), '', paths)
  return [...paths]
}

function addPaths(value: unknown, prefix: string, paths: Set<string>): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return
  for (const [key, member] of Object.entries(value)) {
    if (paths.size >= PATHS_MAX) return
    const path = prefix + spellKey(key)
    paths.add(path)
    addPaths(member, `${path}.`, paths)
  }
}

/** Names that are to be quoted are offered to whoever has begun with a quote. */
function filesAt(word: string): string[] {
  const isQuoted = word.startsWith('"')
  const path = word.slice(isQuoted ? 1 : 0)
  const folder = path.endsWith('/') ? path : dirname(path)
  try {
    const names = readdirSync(folder, { withFileTypes: true })
      .map((entry) => (folder === '.' && !path.startsWith('./') ? basename(entry.name) : join(folder, entry.name)) + (entry.isDirectory() ? '/' : ''))
    if (!isQuoted) return names.filter((name) => quoted(name) === name)
    // In a folder there is more to come.
    return names.map((name) => (name.endsWith('/') ? JSON.stringify(name).slice(0, -1) : JSON.stringify(name)))
  } catch {
    return []
  }
}
