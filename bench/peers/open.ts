import { startChild } from '../support/child.js'
import { program } from '../support/program.js'
import { Workspace } from '../support/workspace.js'
import { listeningPeer } from './index.js'
import { loadHandler, type Peer, type PeerClient, type PeerName } from './peer.js'

interface ServeArgument {
  readonly peer: PeerName
  readonly handlerModule: string
  readonly directory: string
}

interface Address {
  readonly address: string
}

/** The server's process of a listening peer. */
export const servePeer = program<ServeArgument, Address>(import.meta.url, 'servePeer', async (argument, control) => {
  const handler = await loadHandler(argument.handlerModule)
  await using listener = await listeningPeer(argument.peer).listen(argument.directory, handler)
  control.ready({ address: listener.address })
  await control.finish
})

export interface ServerOptions {
  /** URL of a module that exports `createHandler`; see peer.ts. */
  readonly handlerModule: string
  /** The CPU that the server is pinned to; any, if left out. */
  readonly cpu?: number
}

/** A listening peer's server in a child process. Whoever starts it owns it; disposing ends it and removes its socket. */
export interface PeerServer extends AsyncDisposable {
  readonly address: string
  readonly pid: number
}

export async function startPeerServer(peer: PeerName, { handlerModule, cpu }: ServerOptions): Promise<PeerServer> {
  const workspace = new Workspace()
  const child = startChild(servePeer, { peer, handlerModule, directory: workspace.directory }, {
    label: `the server of ${peer}`,
    ...(cpu === undefined ? {} : { cpu }),
  })
  const end = async (): Promise<void> => {
    await child[Symbol.asyncDispose]()
    workspace[Symbol.dispose]()
  }
  try {
    const { address } = await child.ready()
    return { address, pid: child.pid, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}

/** A peer's server on a CPU of its own and one client of it in this process. Disposing ends both. */
export interface OpenPeer extends AsyncDisposable {
  readonly client: PeerClient
  readonly serverPid: number
}

export async function openPeer(peer: Peer, options: Required<ServerOptions>): Promise<OpenPeer> {
  if (peer.kind === 'owned') {
    const client = await peer.start(options.handlerModule, options.cpu)
    return { client, serverPid: client.serverPid, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() }
  }
  const server = await startPeerServer(peer.name, options)
  try {
    const client = await peer.connect(server.address)
    return {
      client,
      serverPid: server.pid,
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]()
        await server[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

/** Peers open at once with their clients, all ended together. */
export class OpenPeers implements AsyncDisposable {
  readonly #open: { readonly peer: Peer; readonly opened: OpenPeer }[] = []

  get all(): readonly { readonly peer: Peer; readonly opened: OpenPeer }[] {
    return this.#open
  }

  async open(peer: Peer, options: Required<ServerOptions>): Promise<OpenPeer> {
    const opened = await openPeer(peer, options)
    this.#open.push({ peer, opened })
    return opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { opened } of this.#open.splice(0)) await opened[Symbol.asyncDispose]()
  }
}
