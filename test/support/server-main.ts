// A server process: serves `Everything` on the channel it is given, and does what the test tells it by messages.
import { serve, type ServerOptions } from '../../src/index.js'
import { sharedIsolate } from '../../src/calls/isolate.js'
import { mappingCount } from '../../src/sys/index.js'
import { Everything, everyHandler, Gates } from './everything.js'
import { leaveHeir } from './heir.js'
import { openCount } from './leaks.js'

const [channel, json] = process.argv.slice(2) as [string, string]
const gates = new Gates()
const errors: string[] = []
const closes: boolean[] = []
const server = await serve(channel, Everything, everyHandler(gates), {
  ...JSON.parse(json) as ServerOptions,
  onError: (error, method) => errors.push(`${method}: ${error instanceof Error ? error.message : 'strange'}`),
  onConnection: (connection) => {
    connection.onClose = (crashed): void => {
      closes.push(crashed)
    }
  },
})

/** From now on: how many ends the poll loop of this server has had at once, at most. */
function countPolled(): { most: number } {
  const { poller } = sharedIsolate()
  const [polled, count] = [new Set<object>(), { most: 0 }]
  const [add, remove] = [poller.add.bind(poller), poller.remove.bind(poller)]
  poller.add = (end) => {
    count.most = Math.max(count.most, polled.add(end).size)
    add(end)
  }
  poller.remove = (end) => {
    polled.delete(end)
    remove(end)
  }
  return count
}
let polled: { readonly most: number } | undefined

const commands: Record<string, (argument: unknown) => unknown> = {
  info: () => ({
    open: openCount(), mappings: mappingCount(), connections: server.connectionCount, inHandlers: server.inHandlers, errors, closes,
    reasons: gates.reasons,
    sums: gates.sums,
  }),
  sharedStats: () => {
    server.heap.collect()
    return server.heap.stats()
  },
  spent: () => {
    const { userCPUTime, systemCPUTime, voluntaryContextSwitches } = process.resourceUsage()
    return { cpuMs: (userCPUTime + systemCPUTime) / 1000, sleeps: voluntaryContextSwitches }
  },
  leaveHeir,
  mostPolled: () => (polled ??= countPolled()).most,
  free: (key) => gates.free(String(key)),
  close: async (drainMs) => {
    await server.close(typeof drainMs === 'number' ? drainMs : undefined)
  },
  spin: (ms) => {
    const end = performance.now() + Number(ms)
    while (performance.now() < end);
  },
  exit: () => {
    gates.freeAll()
    setImmediate(() => process.exit(0))
  },
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, command, argument }: { id: number, command: string, argument: unknown }) => {
  void Promise.resolve(commands[command]?.(argument)).then((result) => process.send?.({ id, result: result ?? null }))
})
process.send?.({ id: 0, result: null })
