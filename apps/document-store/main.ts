// The document store as a program: its server, an import, single commands, and a shell.
import { parseArgs } from 'node:util'
import { openStore } from './client.js'
import { serveDocuments } from './server.js'
import { CommandError, commandList, runCommand } from './shell/commands.js'
import { importFile } from './shell/import.js'
import { isExpected, runShell } from './shell/interactive.js'

const CHANNEL = 'documents'
const HEAP_MIB = 1024
const HEAP_MIB_MAX = 4096

const HELP = `A store of JSON documents in shared memory: node build/apps/document-store/main.js COMMAND

  serve                 serves an empty store until it is interrupted
      --isolated        copies documents into a heap that clients can only read; otherwise clients and server share one heap, and
                        whoever stores documents must be trusted
      --heap-mib N      room for documents, 1 to ${HEAP_MIB_MAX}; ${HEAP_MIB} if left out
  shell                 reads commands from the terminal; Tab completes them
  import FILE           stores the documents of an NDJSON file, with a progress bar
      --key FIELD       the field that is a document's key; otherwise the file's name and the line
  COMMAND …             carries out one command of the shell:

${commandList()}

  --channel NAME        of the store: "${CHANNEL}" if left out
  --help, -h
`

interface Options {
  readonly help: boolean
  readonly isolated: boolean
  readonly 'heap-mib': string
  readonly channel: string
  readonly key?: string
}

function parse(): { readonly values: Options, readonly positionals: readonly string[] } {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        isolated: { type: 'boolean', default: false },
        'heap-mib': { type: 'string', default: String(HEAP_MIB) },
        channel: { type: 'string', default: CHANNEL },
        key: { type: 'string' },
      },
    })
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error))
  }
}

async function serveUntilInterrupted({ channel, isolated, 'heap-mib': text }: Options): Promise<void> {
  const mib = Number(text)
  if (!Number.isInteger(mib) || mib < 1 || mib > HEAP_MIB_MAX) throw new CommandError(`--heap-mib takes a number from 1 to ${HEAP_MIB_MAX}, not ${text}`)
  await using store = await serveDocuments(channel, { mode: isolated ? 'isolated' : 'trusting', heapBytes: mib * 2 ** 20 })
  console.log(`serving a store in ${store.mode} mode on "${channel}"`)
  await new Promise((resolve) => {
    process.once('SIGINT', resolve).once('SIGTERM', resolve)
  })
}

async function main(): Promise<void> {
  const { values, positionals: [command, ...rest] } = parse()
  if (values.help) {
    process.stdout.write(HELP)
    return
  }
  if (command === undefined) throw new CommandError('usage: main.js serve | shell | import FILE | COMMAND …')
  if (command === 'serve') {
    await serveUntilInterrupted(values)
    return
  }
  await using client = await openStore(values.channel)
  if (command === 'shell') await runShell(client)
  else if (command === 'import') {
    const [file] = rest
    if (file === undefined) throw new CommandError('which file?')
    const count = await importFile(client, file, { progress: true, ...(values.key === undefined ? {} : { keyField: values.key }) })
    console.log(`${count.toLocaleString('en')} documents imported`)
  } else await runCommand(client, [command, ...rest].join(' '), (line) => console.log(line))
}

try {
  await main()
} catch (error) {
  if (!isExpected(error)) throw error
  process.stderr.write(`${error.message}\n${error instanceof CommandError ? '--help tells more\n' : ''}`)
  process.exitCode = error instanceof CommandError ? 2 : 1
}
