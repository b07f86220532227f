import { createServer, type Server as NetServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { Rpc, serve, u32 } from 'rpcool'
import { LatenessMeter, NO_LATENESS, type LatenessFigures } from '../support/lateness.js'
import { program } from '../support/program.js'
import { CallService } from './call-service.js'

export const TYPED_CHANNEL = 'bench/typed'
export const RAW_CHANNEL = 'bench/raw'
/** Number of the low-level function that adds one. */
export const INCREMENT = 7

export interface ServerArgument {
  readonly directory: string
  /** What the event loop does beside the calls. */
  readonly beside?: 'timer and echo' | 'nothing'
}

export interface ServerReady {
  readonly pid: number
  /** A socket that echoes what it gets: what the server's event loop serves beside the calls. */
  readonly echo: string
}

/** The library's serving side: typed and low-level channels with every default on, a 1 ms timer and a socket echo. */
export const callServer = program<ServerArgument, ServerReady, LatenessFigures>(
  import.meta.url,
  'callServer',
  async ({ directory, beside }, control) => {
    const server = await serve(TYPED_CHANNEL, CallService, {
      noop() {},
      typed: (sample) => ({ id: sample.id + 1, weight: sample.weight * 2, flags: sample.flags }),
      increment: (value) => value + 1,
    })
    const rpc = new Rpc().open(RAW_CHANNEL).add(INCREMENT, u32, u32, (_connection, value) => (value + 1) >>> 0)
    await rpc.listening()
    const echo = join(directory, 'echo.sock')
    const idle = beside === 'nothing'
    const echoing = idle ? undefined : await echoOn(echo)
    const timer = idle ? undefined : new LatenessMeter()
    timer?.start()
    control.ready({ pid: process.pid, echo })
    await control.finish
    const figures = timer?.stop() ?? NO_LATENESS
    echoing?.close()
    await server.close(0)
    await rpc.close()
    return figures
  },
)

async function echoOn(path: string): Promise<NetServer> {
  const server = createServer((socket) => {
    // A client that leaves while an echo is on its way resets the connection.
    socket.on('error', () => socket.destroy())
    socket.pipe(socket)
  }).listen(path)
  await once(server, 'listening')
  return server
}
