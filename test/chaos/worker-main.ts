// A process of the storm: a server, or a client that allocates and calls all the time. It checks what it is told when the
// other side dies, and what it then still holds.
import { DaemonClient } from '../../src/control/index.js'
import { openCount } from '../support/leaks.js'
import { ClientRole, type ClientOrder } from './client-role.js'
import { ServerRole, type ServerOrder } from './server-role.js'

export interface Reply {
  readonly id: number
  readonly result?: unknown
  readonly wrong?: string
}

process.on('disconnect', () => process.exit(0))
await DaemonClient.shared().connect()
const openBefore = openCount()
const client = new ClientRole(openBefore)
let server: ServerRole | undefined

function serving(): ServerRole {
  if (server === undefined) throw new Error('this process is no server')
  return server
}

const commands = {
  serve: async (order: ServerOrder): Promise<void> => {
    server = await ServerRole.start(order)
  },
  settle: (clients: readonly number[]) => serving().settle(clients),
  account: () => serving().account(),
  stop: async (): Promise<void> => {
    await serving().stop()
    server = undefined
  },
  connect: (order: ClientOrder) => client.connect(order),
  work: (order: ClientOrder) => client.work(order),
  pause: (order: { readonly serverDied: boolean }) => client.pause(order.serverDied),
  finish: () => client.finish(),
}

export type Commands = typeof commands

process.on('message', ({ id, command, argument }: { id: number, command: keyof Commands, argument: unknown }) => {
  const run = commands[command] as (argument: unknown) => unknown
  const work = async (): Promise<unknown> => await run(argument)
  work().then(
    (result) => process.send?.({ id, result: result ?? null }),
    (error: unknown) => process.send?.({ id, wrong: error instanceof Error ? error.stack ?? error.message : String(error) }),
  )
})
process.send?.({ id: 0, result: null })
