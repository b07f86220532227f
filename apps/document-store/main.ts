// The document store as a program: its server, an import, single commands, and a shell.
import { parseArgs } from 'node:util'
import { RpcError } from 'rpcool'
import { openStore, type StoreClient } from './client.js'
import { serveDocuments } from './server.js'
import { commandList, commandNamed, runCommand } from './shell/commands.js'
import { isExpected, runShell } from './shell/interactive.js'
import { CommandError, fromArgument } from './shell/words.js'

const CHANNEL = 'documents'
const HEAP_MIB = 1024
const HEAP_MIB_MAX = 4096

const HELP = `A store of JSON documents in shared memory: node build/apps/document-store/main.js COMMAND

  serve                 serves an empty store until it is interrupted
      --isolated        copies documents into a heap that clients can only read; otherwise clients and server share one heap, and
                        whoever stores documents must be trusted
      --heap-mib N      room for documents, 1 to ${HEAP_MIB_MAX}; ${HEAP_MIB} if left out
  shell                 reads commands from the terminal; Tab completes them. From a pipe or file it goes on behind a mistake, and ends with 1
  import FILE           stores the documents of an NDJSON file, with a progress bar; what has the key of another one takes its place.
                        Stops at a line that is no JSON or has no key, with what came before it stored
      --key FIELD       the field that is a document's key; otherwise the file's name and the line
      --skip-broken     goes on behind such lines, counts them and names the first ten
  COMMAND …             carries out one command of the shell:

${commandList()}

  A path is keys with dots: customer.city, items.0; a dot in a key is written \\., a backslash \\\\. In the shell a key or path with
  spaces is a JSON text: put "a b" {"x": 1}.

  --channel NAME        of the store: "${CHANNEL}" if left out
  --help, -h
`

/** Stands for the sign of a negative number, while options are looked for; no argument has it. */
const MINUS = '\0'

interface Options {
  readonly help: boolean
  readonly isolated: boolean
  readonly 'heap-mib': string
  readonly channel: string
  readonly key?: string
  readonly 'skip-broken': boolean
}

function parse(): { readonly values: Options, readonly positionals: readonly string[] } {
  try {
    return parseArgs({
      // A negative number is no option.
      args: process.argv.slice(2).map((argument) => argument.replace(/^-(?=\d)/, MINUS)),
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        isolated: { type: 'boolean', default: false },
        'heap-mib': { type: 'string', default: String(HEAP_MIB) },
        channel: { type: 'string', default: CHANNEL },
        key: { type: 'string' },
        'skip-broken': { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error))
  }
}

async function serveUntilInterrupted({ channel, isolated, 'heap-mib': text }: Options): Promise<void> {
  const mib = Number(text)
  if (!Number.isInteger(mib) || mib < 1 || mib > HEAP_MIB_MAX) throw new CommandError(`--heap-mib takes a number from 1 to ${HEAP_MIB_MAX}, not ${text.replace(MINUS, '-')}`)
  await using store = await serveDocuments(channel, { mode: isolated ? 'isolated' : 'trusting', heapBytes: mib * 2 ** 20 })
  console.log(`serving a store in ${store.mode} mode on "${channel}"`)
  await new Promise((resolve) => {
    process.once('SIGINT', resolve).once('SIGTERM', resolve)
  })
}

async function main(): Promise<void> {
  const { values, positionals: [command, ...rest] } = parse()
  if (values.help || command === 'help') {
    process.stdout.write(HELP)
    return
  }
  if (command === undefined) throw new CommandError('usage: main.js serve | shell | import FILE | COMMAND …')
  if (command === 'serve') {
    await serveUntilInterrupted(values)
    return
  }
  // What is no command needs no store to be refused.
  const kinds = command === 'shell' ? [] : commandNamed(command).words
  await using client = await opened(values.channel)
  if (command === 'shell') {
    if (!await runShell(client) && !process.stdin.isTTY) process.exitCode = 1
    return
  }
  const words = rest.map((word, i) => fromArgument(word.replace(MINUS, '-'), kinds[i]))
  if (command === 'import' && values.key !== undefined) words.push(JSON.stringify(`--key=${values.key}`))
  if (command === 'import' && values['skip-broken']) words.push('--skip-broken')
  await runCommand(client, [command, ...words].join(' '), (line) => console.log(line))
}

async function opened(channel: string): Promise<StoreClient> {
  try {
    return await openStore(channel)
  } catch (error) {
    if (!RpcError.is(error) || error.code !== 'NOT_FOUND') throw error
    throw new RpcError('NOT_FOUND', `no store is served on "${channel}": start one, in another terminal, by main.js serve${channel === CHANNEL ? '' : ` --channel ${channel}`}`, { cause: error })
  }
}

try {
  await main()
} catch (error) {
  if (!isExpected(error)) throw error
  process.stderr.write(`${error.message}\n${error instanceof CommandError ? '--help tells more\n' : ''}`)
  process.exitCode = error instanceof CommandError ? 2 : 1
}
