import { RpcError } from '../base/errors.js'
import type {
  Attachment, ChannelEvents, ChannelOptions, ConnectionEnd, ConnectionEvents, DaemonIdentity, MemoryGrant, OpenedConnection,
  OpenOptions, RegisteredChannel,
} from './types.js'

export interface DaemonClientOptions {
  /** The runtime directory; by default the user's, see `runtimeDirectory`. */
  readonly directory?: string
}

/** An isolate's link to the daemon, made on first need and shared by all servers and clients of the isolate. */
export class DaemonClient {
  /** The isolate's own link. */
  static shared(): DaemonClient {
    throw new RpcError('UNIMPLEMENTED', 'not built yet')
  }

  constructor(_options: DaemonClientOptions = {}) {}

  /** Reaches the daemon, and starts one when there is none. */
  connect(_timeoutMs?: number): Promise<DaemonIdentity> {
    return notBuilt()
  }

  registerChannel(_name: string, _options: ChannelOptions, _events: ChannelEvents): Promise<RegisteredChannel> {
    return notBuilt()
  }

  unregisterChannel(_name: string): Promise<void> {
    return notBuilt()
  }

  openConnection(_channel: string, _options: OpenOptions, _events: ConnectionEvents): Promise<OpenedConnection> {
    return notBuilt()
  }

  /** A further heap for both ends of a connection; the other end hears of it by `heapAdded`. */
  growConnection(_connection: ConnectionEnd, _byteLength: number): Promise<MemoryGrant> {
    return notBuilt()
  }

  /** A further shared heap for a channel of this isolate; its connections hear of it by `heapAdded`. */
  growChannel(_name: string, _byteLength: number): Promise<MemoryGrant> {
    return notBuilt()
  }

  /** Gives back one attachment of a private or shared heap, when nothing of it is mapped here any more. */
  releaseHeap(_attachment: Attachment): void {}

  /** Ends this end of a connection and gives back its control region. Heaps are released one by one. */
  closeConnection(_connection: ConnectionEnd): void {}

  /** Keeps the process alive, until as many `unref`. */
  ref(): void {}

  unref(): void {}

  /** Leaves the daemon: it takes this for the isolate's death. */
  close(): void {}
}

function notBuilt<T>(): Promise<T> {
  return Promise.reject(new RpcError('UNIMPLEMENTED', 'not built yet'))
}
