// What can be said to a store, as text: in the interactive shell, and as arguments of one run.
import { isJson, plain } from 'rpcool'
import type { StoreClient } from '../client.js'
import type { DocumentView } from '../service.js'
import type { Filter } from '../store/filter.js'
import { importArguments, importFile, importReport } from './import.js'
import { CommandError, jsonOf, limited, quoted, required, split, takePaths, whole } from './words.js'

/** A filter or JSON is all that is left; `limited`: a filter, and `limit N` behind it. */
export type WordKind = 'key' | 'path' | 'paths' | 'index' | 'kind' | 'file' | 'filter' | 'limited' | 'json'

export interface Command {
  readonly usage: string
  readonly about: string
  /** What comes after its name, for completion. */
  readonly words: readonly WordKind[]
  run(client: StoreClient, rest: string, print: (line: string) => void): Promise<void> | void
}

/** Results of one search that are printed, unless it says another limit. */
const SHOWN = 20

export const COMMANDS: Readonly<Record<string, Command>> = {
  find: {
    usage: 'find [FILTER] [limit N]', about: 'documents that fulfil a filter, such as {"num": {"gte": 1, "lt": 5}}', words: ['limited'],
    run({ sync }, rest, print) {
      const { json, limit } = limited(rest)
      const filter = filterOf(json)
      using results = sync.find(filter, { limit: limit ?? SHOWN })
      for (const { key, body } of results) print(`${key}\t${JSON.stringify(plainValue(body))}`)
      const count = results.length
      print(count === (limit ?? SHOWN) ? `the first ${count} of ${sync.count(filter)}` : plural(count))
    },
  },
  get: {
    usage: 'get KEY', about: 'one document', words: ['key'],
    run({ sync }, rest, print) {
      const key = whole(rest, 'a key')
      using got = sync.get(key)
      print(got === undefined ? `there is no document ${JSON.stringify(key)}` : JSON.stringify(plainValue(got.body), null, 2))
    },
  },
  put: {
    usage: 'put KEY JSON', about: 'stores a document', words: ['key', 'json'],
    run({ sync }, rest, print) {
      const [key, text] = split(rest, 2)
      print(sync.put(required(key, 'a key'), jsonOf(required(text, 'JSON'), SPACES)) ? 'replaced' : 'stored')
    },
  },
  update: {
    usage: 'update KEY PATH JSON', about: 'changes one field in place', words: ['key', 'path', 'json'],
    run({ sync }, rest, print) {
      const [key, path, text] = split(rest, 3)
      print(sync.update(required(key, 'a key'), required(path, 'a path'), jsonOf(required(text, 'JSON'), SPACES)) ? 'changed' : 'there is no such document')
    },
  },
  delete: {
    usage: 'delete KEY', about: 'deletes a document', words: ['key'],
    run({ sync }, rest, print) {
      print(sync.delete(whole(rest, 'a key')) ? 'deleted' : 'there is no such document')
    },
  },
  count: {
    usage: 'count [FILTER]', about: 'how many documents fulfil a filter', words: ['filter'],
    run({ sync }, rest, print) {
      print(String(sync.count(filterOf(rest))))
    },
  },
  group: {
    usage: 'group PATH [FILTER]', about: 'how many documents there are of each value', words: ['path', 'filter'],
    async run(client, rest, print) {
      const [path, filter] = split(rest, 2)
      const groups = [...await client.group(filterOf(filter ?? ''), required(path, 'a path'))].sort((a, b) => b[1] - a[1])
      for (const [value, count] of groups.slice(0, SHOWN)) print(`${String(count).padStart(8)}  ${JSON.stringify(value)}`)
      if (groups.length > SHOWN) print(`and ${groups.length - SHOWN} other values`)
    },
  },
  project: {
    usage: 'project PATH,PATH… [FILTER] [limit N]', about: 'some fields of the documents that fulfil a filter', words: ['paths', 'limited'],
    async run(client, rest, print) {
      const [paths, tail] = takePaths(rest)
      const { json, limit } = limited(tail)
      const rows = await client.project(filterOf(json), paths, { limit: limit ?? SHOWN })
      for (const row of rows) print(JSON.stringify(row))
    },
  },
  join: {
    usage: 'join PATH PATH [FILTER] [limit N]', about: 'keys of documents that fulfil a filter, and of those whose second path has what their first one has', words: ['path', 'path', 'limited'],
    async run(client, rest, print) {
      const [left, right, tail] = split(rest, 3)
      const { json, limit } = limited(tail ?? '')
      using pairs = await client.join(filterOf(json), required(left, 'a path'), required(right, 'a second path'), { limit: limit ?? SHOWN })
      for (const pair of pairs) print(`${pair.left.key}\t${pair.right.key}`)
      print(`${pairs.length === (limit ?? SHOWN) ? 'the first ' : ''}${pairs.length} ${pairs.length === 1 ? 'pair' : 'pairs'}`)
    },
  },
  index: {
    usage: 'index PATH hash|ordered', about: 'makes an index: hash for equality, ordered for ranges and prefixes too', words: ['path', 'kind'],
    async run(client, rest, print) {
      const [path, kind] = split(rest, 2)
      if (kind !== 'hash' && kind !== 'ordered') throw new CommandError('an index is "hash" or "ordered"')
      const before = (await client.indexes()).find((one) => one.path === path)?.kind
      await client.createIndex(required(path, 'a path'), kind)
      print(before === undefined ? 'indexed' : before === kind ? 'it was there already' : `indexed, in the place of a ${before} index`)
    },
  },
  drop: {
    usage: 'drop PATH', about: 'drops an index', words: ['index'],
    async run(client, rest, print) {
      print(await client.dropIndex(whole(rest, 'a path')) ? 'dropped' : 'there is no such index')
    },
  },
  indexes: {
    usage: 'indexes', about: 'lists the indexes', words: [],
    async run(client, _, print) {
      for (const { path, kind } of await client.indexes()) print(`${quoted(path)} (${kind})`)
    },
  },
  import: {
    usage: 'import FILE [--key FIELD] [--skip-broken]', about: 'stores the documents of an NDJSON file', words: ['file'],
    async run(client, rest, print) {
      const { file, ...options } = importArguments(rest)
      importReport(await importFile(client, file, { progress: true, ...options })).forEach(print)
    },
  },
  stats: {
    usage: 'stats', about: 'how many documents there are, and what they take', words: [],
    async run(client, _, print) {
      const { documents, awaitingRelease, heapBytes, freeBytes } = await client.stats()
      print(`${plural(documents)} in ${client.mode === 'isolated' ? 'an' : 'a'} ${client.mode} store; ${mib(heapBytes - freeBytes)} of ${mib(heapBytes)} MiB in use; ${awaitingRelease} deleted ones still held by readers`)
    },
  },
  clear: {
    usage: 'clear', about: 'deletes all documents; indexes stay', words: [],
    async run(client, _, print) {
      print(`${plural(await client.clear())} deleted`)
    },
  },
}

/** Carries out one line. Throws CommandError, RangeError or RpcError for what makes no sense. */
export async function runCommand(client: StoreClient, line: string, print: (line: string) => void): Promise<void> {
  const [name = '', rest = ''] = split(line, 2)
  await commandNamed(name).run(client, rest, print)
}

/** @throws CommandError when there is none. */
export function commandNamed(name: string): Command {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) throw new CommandError(`there is no command "${name}"; there are ${Object.keys(COMMANDS).join(', ')}, help and exit`)
  return command
}

/** All commands, one a line. */
export function commandList(): string {
  const width = Math.max(...Object.values(COMMANDS).map(({ usage }) => usage.length))
  return Object.values(COMMANDS).map(({ usage, about }) => `  ${usage.padEnd(width)}  ${about}`).join('\n')
}

/** Of JSON that is none, behind a key. */
const SPACES = '; a key or path with spaces is quoted: "a b"'

function filterOf(text: string): Filter {
  return text.trim() === '' ? {} : jsonOf(text) as Filter
}

function plainValue(body: DocumentView['body']): unknown {
  return isJson(body) ? plain(body) : body
}

function plural(documents: number): string {
  return `${documents.toLocaleString('en')} ${documents === 1 ? 'document' : 'documents'}`
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
