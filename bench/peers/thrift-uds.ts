import { once } from 'node:events'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import thrift from 'thrift'
import type { ListeningPeer } from './peer.js'
import { BenchClient, BenchProcessor } from './thrift-service.js'

declare module 'thrift' {
  /** In the runtime since 0.10, but not in its types. */
  export function createUDSConnection(path: string, options: ConnectOptions): Connection
}

const WIRE = { transport: thrift.TBufferedTransport, protocol: thrift.TBinaryProtocol }

export const thriftUds: ListeningPeer = {
  kind: 'listening',
  name: 'thrift_uds',
  about: 'thrift over a Unix socket, buffered binary, a service with a no-op and a JSON look-up',

  async listen(directory, handler) {
    const path = join(directory, 'thrift.sock')
    const server = thrift.createServer<BenchProcessor, (key: string) => unknown>(BenchProcessor, handler, WIRE)
    const sockets = new Set<Socket>()
    server.on('connection', (socket: Socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    })
    server.listen(path)
    await once(server, 'listening')
    return {
      address: path,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy()
        server.close()
        await once(server, 'close')
      },
    }
  },

  async connect(path) {
    const connection = thrift.createUDSConnection(path, WIRE)
    await once(connection, 'connect')
    const client = thrift.createClient(BenchClient, connection)
    const closed = once(connection, 'close').then(() => {
      client.end(new Error('the connection was closed'))
    })
    connection.on('error', () => undefined); // 'close' follows
    return {
      async noop() {
        await client.noop()
      },
      async lookup(key: string): Promise<unknown> {
        return JSON.parse(await client.lookup(key))
      },
      async [Symbol.asyncDispose]() {
        connection.end()
        await closed
      },
    }
  },
}
