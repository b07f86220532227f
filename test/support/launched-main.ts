// An ordinary client of sealed calls, as "rpcool run" starts it: does what the test tells it by lines, on any number of connections.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { connect, type Connection, type ConnectOptions, RpcError, serve } from '../../src/index.js'
import { mappingCount } from '../../src/sys/index.js'
import { Paper, SealedService } from './sealed-service.js'

type Client = Connection<typeof SealedService.methods>

const channel = isMainThread ? process.argv[2]! : (workerData as { readonly channel: string }).channel
const connections: Client[] = []
const workers: Worker[] = []
const held: Promise<string>[] = []
let isOrphan = false
const outcome = (work: Promise<unknown>): Promise<string> => work.then(String, String)

interface Call {
  readonly connection: number
  readonly value: number
}

const commands: Record<string, (argument: never) => unknown> = {
  pid: () => process.pid,
  /** Connects once more; what its seals are, and by which number it goes. */
  connect: async (options: ConnectOptions | null) => {
    const connection = await connect(channel, SealedService, options ?? {})
    connections.push(connection)
    return { strength: connection.seals?.strength ?? 'none', connection: connections.length - 1 }
  },
  /** Tries to serve a channel itself. */
  serve: (name: string) => outcome(serve(name, SealedService, { read: ({ value }) => value, hold: () => '' }).then((server) => server.close())),
  /** A call of another channel: its answer, or why not. */
  elsewhere: (other: string) => outcome((async () => {
    await using connection = await connect(other, SealedService)
    return await connection.read({ value: 5, body: 'text' })
  })()),
  close: (connection: number) => connections[connection]!.close(),
  read: ({ connection, value }: Call) => outcome(connections[connection]!.read({ value, body: 'text' })),
  sync: ({ connection, value }: Call) => {
    try {
      return connections[connection]!.sync.read({ value, body: 'text' })
    } catch (error) {
      return String(error)
    }
  },
  /** So many calls at once: whether all were answered rightly. */
  many: async ({ connection, value }: Call) => {
    const answers = await Promise.all(Array.from({ length: value }, (_, i) => connections[connection]!.read({ value: i, body: `text ${i}` })))
    return answers.every((answer, i) => answer === i)
  },
  /** Calls hold with a scope, and does not wait: where it lies. */
  hold: (connection: number) => {
    const scope = connections[connection]!.createScope(4096)
    held.push(outcome(connections[connection]!.hold(scope.new(Paper, { value: 7, body: 'text' }))))
    return scope.address
  },
  /** What the calls of hold were answered. */
  held: () => Promise.all(held),
  /** A child process, which tries to have seals as this one has them. */
  child: () => {
    const { stdout, stderr } = spawnSync(process.execPath, [process.argv[1]!, channel, 'once'], { encoding: 'utf8' })
    return stdout === '' ? stderr : JSON.parse(stdout) as unknown
  },
  /** Starts a thread that connects and calls: what it says. */
  worker: async (value: number) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { channel, value } })
    workers.push(worker)
    return (await once(worker, 'message') as unknown[])[0]
  },
  mappings: () => mappingCount(),
  /** When the launcher has gone: what the first connection's call is answered, and what a new connection's. The test's end of stdin goes too. */
  orphaned: async (answer: never) => {
    isOrphan = true
    const launcher = process.ppid
    say(answer, 'waits')
    while (process.ppid === launcher) await sleep(5)
    const first = await outcome(connections[0]!.read({ value: 1, body: 'text' }))
    const connection = await connect(channel, SealedService)
    const second = await outcome(connection.read({ value: 2, body: 'text' }))
    return [first, second]
  },
}

/** Connects, calls, and says what came of it. */
async function connectOnce(value: number): Promise<readonly [strength: string, answer: string]> {
  const connection = await connect(channel, SealedService)
  const answer = await outcome(connection.read({ value, body: 'text' }))
  const said = [connection.seals?.strength ?? 'none', answer] as const
  if (!isMainThread) connections.push(connection)
  else await connection.close()
  return said
}

function say(id: number, result: unknown): void {
  writeSync(1, `${JSON.stringify({ id, result: result ?? null })}\n`)
}

async function end(): Promise<void> {
  for (const connection of connections) await connection.close()
  for (const worker of workers) await worker.terminate()
  process.exit(0)
}

if (!isMainThread) {
  parentPort!.postMessage(await connectOnce((workerData as { readonly value: number }).value))
  // Stays, with its connection, until it is terminated.
  parentPort!.on('message', () => undefined)
} else if (process.argv[3] === 'once') {
  writeSync(1, JSON.stringify(await connectOnce(1)))
} else {
  const lines = createInterface(process.stdin)
  lines.on('line', (line) => {
    const { id, command, argument } = JSON.parse(line) as { readonly id: number, readonly command: string, readonly argument: never }
    void Promise.resolve(commands[command]!(argument)).catch((error: unknown) => (RpcError.is(error) ? String(error) : Promise.reject(error as Error)))
      .then((result) => say(id, result))
  })
  lines.on('close', () => {
    if (!isOrphan) void end()
  })
  say(0, null)
}
