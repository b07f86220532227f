/** Answers a look-up in the server's process. `undefined` crosses as null. */
export type Handler = (key: string) => unknown

/**
 * What a handler module exports as `createHandler`. A function cannot cross to another process, so peers are given the URL of
 * such a module; it is imported where the server runs.
 */
export type CreateHandler = () => Handler | Promise<Handler>

/** The calling end of a peer. Any number of calls may be in flight. Whoever connects owns it. */
export interface PeerClient extends AsyncDisposable {
  /** The smallest request and answer that the peer can make. */
  noop(): Promise<void>
  /** Asks the server's handler. The answer has crossed as JSON (or as the peer's own clone) and is the caller's. */
  lookup(key: string): Promise<unknown>
}

export interface Listener extends AsyncDisposable {
  /** What {@link ListeningPeer.connect} needs. */
  readonly address: string
}

export type PeerName =
  | 'thrift_uds'
  | 'grpc_uds'
  | 'net_uds'
  | 'net_tcp'
  | 'zeromq_ipc'
  | 'worker_postmessage'
  | 'child_ipc'

interface Described {
  readonly name: PeerName
  /** How the peer is used, in a phrase. */
  readonly about: string
}

/** A peer whose server has an address that any number of processes connect to. */
export interface ListeningPeer extends Described {
  readonly kind: 'listening'
  /** In the server's process. `directory` is there for a socket; it outlives the listener. */
  listen(directory: string, handler: Handler): Promise<Listener>
  connect(address: string): Promise<PeerClient>
}

/** A peer whose server is born with its one client: a worker thread, or a child with an IPC channel. */
export interface OwnedPeer extends Described {
  readonly kind: 'owned'
  /** Starts the server's thread or process on `cpu` and answers its client, which ends it when disposed. */
  start(handlerModule: string, cpu: number): Promise<OwnedClient>
}

export interface OwnedClient extends PeerClient {
  /** The process that the server runs in; our own for a worker thread. */
  readonly serverPid: number
}

export type Peer = ListeningPeer | OwnedPeer

/** Imports a handler module and makes its handler. */
export async function loadHandler(handlerModule: string): Promise<Handler> {
  const { createHandler } = await import(handlerModule) as { createHandler?: CreateHandler }
  if (createHandler === undefined) throw new Error(`${handlerModule} exports no createHandler`)
  return await createHandler()
}
