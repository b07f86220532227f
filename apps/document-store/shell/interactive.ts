// The interactive shell: a line, a command; Tab completes commands, paths and files.
import { readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { isJson, plain, RpcError } from 'rpcool'
import type { StoreClient } from '../client.js'
import { CommandError, commandList, COMMANDS, runCommand } from './commands.js'
import { ImportError } from './import.js'

/** Documents looked at for paths to complete. */
const SAMPLE = 20
/** Of one document: a dictionary of thousands of keys is no help. */
const PATHS_MAX = 200

/** Reads commands until the end of the input, or `exit`. */
export async function runShell(client: StoreClient): Promise<void> {
  const terminal = createInterface({
    input: process.stdin, output: process.stdout, prompt: 'store> ', terminal: process.stdin.isTTY,
    completer: (line: string) => complete(client, line),
  })
  const closed = client.closed.then((reason) => {
    if (reason !== undefined) process.stderr.write(`\n${reason.message}\n`)
    terminal.close()
  })
  process.stdout.write(`${client.mode} store; "help" lists the commands, Tab completes, Ctrl-D ends\n`)
  terminal.prompt()
  for await (const line of terminal) {
    if (line.trim() === 'exit' || line.trim() === 'quit') break
    await carryOut(client, line.trim())
    terminal.prompt()
  }
  terminal.close()
  await Promise.race([closed, Promise.resolve()])
}

async function carryOut(client: StoreClient, line: string): Promise<void> {
  if (line === '') return
  if (line === 'help') {
    process.stdout.write(`${commandList()}\n  exit\n`)
    return
  }
  try {
    await runCommand(client, line, (text) => process.stdout.write(`${text}\n`))
  } catch (error) {
    if (!isExpected(error)) throw error
    process.stdout.write(`${error.message}\n`)
  }
}

/** What a user, a file or the store may have done: told in a sentence, without a stack. */
export function isExpected(error: unknown): error is Error {
  return error instanceof CommandError || error instanceof ImportError || error instanceof RangeError || RpcError.is(error) ||
    (error instanceof Error && 'syscall' in error)
}

/** What the last word of a line can become, and that word: the form that readline asks for. */
export function complete(client: StoreClient, line: string): [string[], string] {
  const words = line.split(/\s+/)
  const word = words.at(-1) ?? ''
  if (words.length < 2) return [startingWith([...Object.keys(COMMANDS), 'help', 'exit'], word).map((one) => `${one} `), word]
  // Inside a filter, the path that is being written.
  const quoted = /[{,]\s*"([^"]*)$/.exec(line)
  if (quoted !== null) return [startingWith(pathsOf(client), quoted[1] ?? '').map((path) => `${path}": `), quoted[1] ?? '']
  const kinds = COMMANDS[words[0] ?? '']?.words[words.length - 2]
  const choices = kinds === 'path' ? pathsOf(client) : kinds === 'kind' ? ['hash', 'ordered'] : kinds === 'file' ? filesAt(word) : []
  return [startingWith(choices, word), word]
}

function startingWith(choices: readonly string[], word: string): string[] {
  return choices.filter((choice) => choice.startsWith(word)).sort()
}

/** Indexed paths, and those of some documents. */
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
    paths.add(prefix + key)
    addPaths(member, `${prefix}${key}.`, paths)
  }
}

function filesAt(word: string): string[] {
  const folder = word.endsWith('/') ? word : dirname(word)
  try {
    return readdirSync(folder, { withFileTypes: true })
      .map((entry) => (folder === '.' && !word.startsWith('./') ? basename(entry.name) : join(folder, entry.name)) + (entry.isDirectory() ? '/' : ''))
  } catch {
    return []
  }
}
