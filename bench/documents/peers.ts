// The other ways to reach the same store: JSON over three transports, msgpack over one.
import { join } from 'node:path'
import { Packr } from 'msgpackr'
import { grpcUds } from '../peers/grpc-uds.js'
import type { Codec } from '../peers/frame-calls.js'
import { connectFrames, listenForFrames } from '../peers/net-frames.js'
import { netUds } from '../peers/net-uds.js'
import type { Listener, ListeningPeer } from '../peers/peer.js'
import { thriftUds } from '../peers/thrift-uds.js'
import { startChild } from '../support/child.js'
import { program } from '../support/program.js'
import { Workspace } from '../support/workspace.js'
import { plainServer, type Request } from './requests.js'

export type DocumentPeerName = 'json_uds' | 'msgpack_uds' | 'thrift_uds' | 'grpc_uds'

export interface DocumentClient extends AsyncDisposable {
  ask(request: Request): Promise<unknown>
}

interface DocumentPeer {
  readonly name: DocumentPeerName
  readonly about: string
  listen(directory: string, answer: (request: Request) => unknown): Promise<Listener>
  connect(address: string): Promise<DocumentClient>
}

/** One of the peers of the other trials, with requests and answers as JSON text. */
function overJson(name: DocumentPeerName, peer: ListeningPeer, about: string): DocumentPeer {
  return {
    name,
    about,
    listen: (directory, answer) => peer.listen(directory, (text) => answer(JSON.parse(text) as Request)),
    async connect(address) {
      const client = await peer.connect(address)
      return { ask: (request) => client.lookup(JSON.stringify(request)), [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() }
    },
  }
}

/** msgpackr as it comes (native string reading, records) was the fastest of its settings for these documents, by a little. */
function msgpack(): Codec<Request> {
  const packr = new Packr()
  return { encode: (request) => packr.pack(request), decode: (payload) => packr.unpack(payload) as unknown }
}

const msgpackUds: DocumentPeer = {
  name: 'msgpack_uds',
  about: 'net.Socket on a Unix socket, msgpackr with its native part',
  listen(directory, answer) {
    const path = join(directory, 'msgpack.sock')
    const packr = new Packr()
    return listenForFrames({ path }, () => path, (payload) => packr.pack(answer(packr.unpack(payload) as Request)))
  },
  async connect(path) {
    const client = await connectFrames({ path }, msgpack())
    return { ask: (request) => client.lookup(request), [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() }
  },
}

/** In the order of the table. */
export const DOCUMENT_PEERS: readonly DocumentPeer[] = [
  overJson('json_uds', netUds, 'net.Socket on a Unix socket, JSON'),
  msgpackUds,
  overJson('thrift_uds', thriftUds, 'thrift over a Unix socket, buffered binary, documents as JSON text'),
  overJson('grpc_uds', grpcUds, '@grpc/grpc-js over a Unix socket, unary, documents as JSON text (no protobuf step)'),
]

function peerNamed(name: DocumentPeerName): DocumentPeer {
  const peer = DOCUMENT_PEERS.find((one) => one.name === name)
  if (peer === undefined) throw new RangeError(`there is no peer ${name}`)
  return peer
}

interface ServeArgument {
  readonly peer: DocumentPeerName
  readonly directory: string
}

/** A peer's server: a store of plain documents behind it. */
export const serveDocumentPeer = program<ServeArgument, { readonly address: string }>(
  import.meta.url, 'serveDocumentPeer', async ({ peer, directory }, control) => {
    await using listener = await peerNamed(peer).listen(directory, plainServer())
    control.ready({ address: listener.address })
    await control.finish
  },
)

/** Starts a peer's server on a CPU and connects to it. Disposing ends both. */
export async function openDocumentPeer(peer: DocumentPeer, cpu: number): Promise<DocumentClient> {
  const { name } = peer
  const workspace = new Workspace()
  const server = startChild(serveDocumentPeer, { peer: name, directory: workspace.directory }, { label: `the document server of ${name}`, cpu })
  const end = async (): Promise<void> => {
    await server[Symbol.asyncDispose]()
    workspace[Symbol.dispose]()
  }
  try {
    const { address } = await server.ready()
    const client = await peer.connect(address)
    return {
      ask: (request) => client.ask(request),
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]()
        await end()
      },
    }
  } catch (error) {
    await end()
    throw error
  }
}
