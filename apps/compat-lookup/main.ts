// npm start: the data of "can I use it?" in one process, asked and walked from others.
//
// The application itself is beside this file and imports nothing but rpcool. Measuring it against JSON, Thrift and gRPC is a
// benchmark's business: that is a program of its own under bench/, which this one starts as a person would.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { connect, RpcError } from 'rpcool'
import { Support, type BrowserName } from './schema.js'
import { serveCompatibility } from './server.js'
import { Compatibility } from './service.js'
import { countSupported } from './walk.js'

const CHANNEL = 'compatibility'
const CLIENTS_MAX = 64
const BROWSERS = Object.keys(Support.fields) as BrowserName[]

const HELP = `Web features in a shared heap: npm start, or node build/apps/compat-lookup/main.js

  npm start [-- --clients N] [--quick] [--json]
      Loads @mdn/browser-compat-data (20 MB of JSON) into a server's shared heap and compares clients that
      follow pointers with clients of JSON over a Unix socket, Thrift and gRPC: look-ups, walks, memory.
        --clients N   clients whose memory is measured, 1 to ${CLIENTS_MAX}; 4 if left out
        --quick       seconds instead of a minute, and noisier
        --json        one JSON object on stdout; tables go to stderr

  npm start -- serve
      Serves the data on the channel "${CHANNEL}" until it is interrupted.

  npm start -- ask FEATURE [BROWSER]
      Asks that server since when browsers have a feature, such as api.AbortController.

  npm start -- count [BROWSER]
      Counts, in that server's heap, the features that each browser supports.
`

class UsageError extends Error {}

/** Runs the benchmark program; its tables and progress are ours. */
async function compare(args: readonly string[]): Promise<number> {
  const here = dirname(fileURLToPath(import.meta.url))
  const child = spawn(process.execPath, [join(here, '..', '..', 'bench', 'lookup', 'main.js'), ...args], { stdio: 'inherit' })
  // A terminal's interrupt reaches the child by itself; this process only has to outlive it.
  process.on('SIGINT', () => undefined).on('SIGTERM', () => child.kill('SIGTERM'))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

async function serveUntilInterrupted(): Promise<void> {
  await using served = await serveCompatibility(CHANNEL)
  const { catalog, server } = served
  console.log(`serving ${catalog.index.size} features of browser-compat-data ${catalog.version} on "${server.channel}"`)
  await new Promise((resolve) => {
    process.once('SIGINT', resolve).once('SIGTERM', resolve)
  })
}

async function ask(name: string, browser: BrowserName | undefined): Promise<number> {
  await using connection = await connect(CHANNEL, Compatibility)
  const feature = await connection.lookup(name)
  if (feature === null) {
    process.stderr.write(`there is no feature called ${name}\n`)
    return 1
  }
  const { compat, children } = feature
  if (compat === null) console.log(`${name} is a group: ${children.map((child) => child?.name).join(', ')}`)
  for (const one of browser === undefined ? BROWSERS : [browser]) {
    const statement = compat?.support?.[one].at(0)
    if (statement) console.log(`${one.padEnd(24)} ${statement.version_added ?? 'no'}`)
  }
  return 0
}

async function count(browser: BrowserName | undefined): Promise<void> {
  await using connection = await connect(CHANNEL, Compatibility)
  const catalog = await connection.catalog()
  if (catalog === null) return
  for (const one of browser === undefined ? BROWSERS : [browser]) console.log(`${one.padEnd(24)} ${countSupported(catalog, one)}`)
}

function browserNamed(name: string | undefined): BrowserName | undefined {
  if (name === undefined) return undefined
  const browser = BROWSERS.find((candidate) => candidate === name)
  if (browser === undefined) throw new UsageError(`there is no browser called ${name}: it is one of ${BROWSERS.join(', ')}`)
  return browser
}

function clientsFrom(text: string): number {
  const clients = Number(text)
  if (!Number.isInteger(clients) || clients < 1 || clients > CLIENTS_MAX) {
    throw new UsageError(`--clients takes a number from 1 to ${CLIENTS_MAX}, not ${text}`)
  }
  return clients
}

function parse(): { readonly values: Options; readonly positionals: readonly string[] } {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        clients: { type: 'string', default: '4' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

interface Options {
  readonly help: boolean
  readonly clients: string
  readonly quick: boolean
  readonly json: boolean
}

async function main(): Promise<number> {
  const { values: { help, clients, quick, json }, positionals: [command, name, browser] } = parse()
  if (help) process.stdout.write(HELP)
  else if (command === undefined) {
    return await compare(['--clients', String(clientsFrom(clients)), ...(quick ? ['--quick'] : []), ...(json ? ['--json'] : [])])
  } else if (command === 'serve') await serveUntilInterrupted()
  else if (command === 'ask' && name !== undefined) return await ask(name, browserNamed(browser))
  else if (command === 'count') await count(browserNamed(name))
  else throw new UsageError(`there is nothing to do called ${command}`)
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof UsageError) && !RpcError.is(error)) throw error
  process.stderr.write(`${error.message}\n${error instanceof UsageError ? 'npm start -- --help says what there is to say\n' : ''}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
