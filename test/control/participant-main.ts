// A process that does to the daemon what a test tells it, and tells what happens to it.
import { DaemonClient, type ConnectionEvents, type OpenedConnection } from '../../src/control/index.js'

const client = DaemonClient.shared()
const connections: OpenedConnection[] = []

function tell(message: object): void {
  process.send?.(message)
}

function eventsOf(name: string): ConnectionEvents {
  return {
    peerDied: () => tell({ event: `${name} peerDied` }),
    connectionClosed: () => tell({ event: `${name} connectionClosed` }),
    memberGone: (_, gone) => tell({ event: `${name} memberGone ${gone}` }),
    livingMembers: (_, living) => tell({ event: `${name} living ${living.join(',')}` }),
    heapAdded: (heap) => tell({ event: `${name} heapAdded ${heap.byteLength}` }),
  }
}

const commands: Record<string, (...args: string[]) => unknown> = {
  connect: async () => (await client.connect()).pid,
  /** A server; `policy` accept, refuse or never. */
  register: async (name = '', policy = 'accept', sharedHeapBytes = '0') => {
    const { sharedHeap } = await client.registerChannel(name, { info: { name }, sharedHeapBytes: Number(sharedHeapBytes) }, {
      ...eventsOf('channel'),
      incoming: async () => {
        tell({ event: 'incoming' })
        if (policy === 'never') await new Promise(() => undefined)
        return { events: eventsOf('server') }
      },
      channelLost: (error) => tell({ event: `channelLost ${error.code}` }),
    })
    sharedHeap?.close()
    return sharedHeap?.address
  },
  open: async (channel = '') => {
    const connection = await client.openConnection(channel, { heapBytes: 65536, controlBytes: 4096 }, eventsOf('client'))
    for (const grant of [connection.control, connection.heap, ...connection.furtherHeaps]) grant.close()
    connections.push(connection)
    return connection.heap.address
  },
  exit: () => setImmediate(() => process.exit(0)),
}

client.ref()
process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, command, args }: { id: number, command: string, args: string[] }) => {
  void (async () => {
    try {
      tell({ id, result: await commands[command]?.(...args) })
    } catch (error) {
      const { code, message } = error as Error & { code: string }
      tell({ id, error: { code, message } })
    }
  })()
})
tell({ event: 'started' })
