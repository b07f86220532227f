// What can be said to a store, as text: in the interactive shell, and as arguments of one run.
import { isJson, plain } from 'rpcool'
import type { StoreClient } from '../client.js'
import type { DocumentView } from '../service.js'
import type { Filter } from '../store/filter.js'
import type { Json } from '../store/values.js'
import { importFile } from './import.js'

export interface Command {
  readonly usage: string
  readonly about: string
  /** What its words after the name are, for completion. */
  readonly words: readonly ('path' | 'kind' | 'file')[]
  run(client: StoreClient, rest: string, print: (line: string) => void): Promise<void> | void
}

/** Text that is no command, or one whose words make no sense. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** Results of one search that are printed, unless it says another limit. */
const SHOWN = 20

export const COMMANDS: Readonly<Record<string, Command>> = {
  find: {
    usage: 'find [FILTER] [limit N]', about: 'documents that fulfil a filter, such as {"num": {"gte": 1, "lt": 5}}', words: [],
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
    usage: 'get KEY', about: 'one document', words: [],
    run({ sync }, rest, print) {
      using got = sync.get(required(rest, 'a key'))
      print(got === undefined ? `there is no document ${JSON.stringify(rest)}` : JSON.stringify(plainValue(got.body), null, 2))
    },
  },
  put: {
    usage: 'put KEY JSON', about: 'stores a document', words: [],
    run({ sync }, rest, print) {
      const [key, text] = split(rest, 2)
      print(sync.put(required(key, 'a key'), jsonOf(required(text, 'JSON'))) ? 'replaced' : 'stored')
    },
  },
  update: {
    usage: 'update KEY PATH JSON', about: 'changes one field in place', words: [],
    run({ sync }, rest, print) {
      const [key, path, text] = split(rest, 3)
      print(sync.update(required(key, 'a key'), required(path, 'a path'), jsonOf(required(text, 'JSON'))) ? 'changed' : 'there is no such document')
    },
  },
  delete: {
    usage: 'delete KEY', about: 'deletes a document', words: [],
    run({ sync }, rest, print) {
      print(sync.delete(required(rest, 'a key')) ? 'deleted' : 'there is no such document')
    },
  },
  count: {
    usage: 'count [FILTER]', about: 'how many documents fulfil a filter', words: [],
    run({ sync }, rest, print) {
      print(String(sync.count(filterOf(rest))))
    },
  },
  group: {
    usage: 'group PATH [FILTER]', about: 'how many documents there are of each value', words: ['path'],
    async run(client, rest, print) {
      const [path, filter] = split(rest, 2)
      const groups = [...await client.group(filterOf(filter ?? ''), required(path, 'a path'))].sort((a, b) => b[1] - a[1])
      for (const [value, count] of groups.slice(0, SHOWN)) print(`${String(count).padStart(8)}  ${JSON.stringify(value)}`)
      if (groups.length > SHOWN) print(`and ${groups.length - SHOWN} other values`)
    },
  },
  project: {
    usage: 'project PATH,PATH… [FILTER] [limit N]', about: 'some fields of the documents that fulfil a filter', words: ['path'],
    async run(client, rest, print) {
      const [paths, tail] = split(rest, 2)
      const { json, limit } = limited(tail ?? '')
      const rows = await client.project(filterOf(json), required(paths, 'paths').split(','), { limit: limit ?? SHOWN })
      for (const row of rows) print(JSON.stringify(row))
    },
  },
  index: {
    usage: 'index PATH hash|ordered', about: 'makes an index: hash for equality, ordered for ranges and prefixes too', words: ['path', 'kind'],
    async run(client, rest, print) {
      const [path, kind] = split(rest, 2)
      if (kind !== 'hash' && kind !== 'ordered') throw new CommandError('an index is "hash" or "ordered"')
      await client.createIndex(required(path, 'a path'), kind)
      print('indexed')
    },
  },
  drop: {
    usage: 'drop PATH', about: 'drops an index', words: ['path'],
    async run(client, rest, print) {
      print(await client.dropIndex(required(rest, 'a path')) ? 'dropped' : 'there is no such index')
    },
  },
  indexes: {
    usage: 'indexes', about: 'lists the indexes', words: [],
    async run(client, _, print) {
      for (const { path, kind } of await client.indexes()) print(`${path} (${kind})`)
    },
  },
  import: {
    usage: 'import FILE [KEYFIELD]', about: 'stores the documents of an NDJSON file', words: ['file'],
    async run(client, rest, print) {
      const [file, keyField] = split(rest, 2)
      const count = await importFile(client, required(file, 'a file'), { progress: true, ...(keyField === undefined ? {} : { keyField }) })
      print(`${count.toLocaleString('en')} documents imported`)
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
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) throw new CommandError(`there is no command "${name}"; there are ${Object.keys(COMMANDS).join(', ')}, help and exit`)
  await command.run(client, rest, print)
}

/** All commands, one a line. */
export function commandList(): string {
  const width = Math.max(...Object.values(COMMANDS).map(({ usage }) => usage.length))
  return Object.values(COMMANDS).map(({ usage, about }) => `  ${usage.padEnd(width)}  ${about}`).join('\n')
}

/** So many words, the last of which is all that is left; quotes are not special, as JSON has its own. */
function split(text: string, count: number): (string | undefined)[] {
  const words: string[] = []
  let rest = text.trim()
  while (rest !== '' && words.length < count - 1) {
    const [word = ''] = /^\S+/.exec(rest) ?? []
    words.push(word)
    rest = rest.slice(word.length).trimStart()
  }
  if (rest !== '') words.push(rest)
  return words
}

function limited(text: string): { readonly json: string, readonly limit: number | undefined } {
  const found = /(?:^|\s)limit\s+(\d+)\s*$/.exec(text)
  return found === null ? { json: text, limit: undefined } : { json: text.slice(0, found.index), limit: Number(found[1]) }
}

function filterOf(text: string): Filter {
  return text.trim() === '' ? {} : jsonOf(text) as Filter
}

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (error) {
    throw new CommandError(`this is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function required(word: string | undefined, what: string): string {
  if (word === undefined || word === '') throw new CommandError(`${what} is missing`)
  return word
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
