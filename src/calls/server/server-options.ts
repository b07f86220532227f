import { type OptionNames, requireFlag, requireFunction, requireNumber } from '../../base/options.js'
import { FOUR_GIB } from '../../base/numbers.js'
import { requireSealDemand, type SealDemand } from '../../safety/index.js'
import type { Waiting } from '../waiting/waiting.js'
import type { ServerConnection } from './server-connection.js'

/** Connections of one server; beyond it a client is told that the server is full. */
export const CONNECTIONS_MAX = 8192

/** How a server waits, shares memory and reports. */
export interface ServerOptions {
  /** How the server waits for requests; `adaptive` by default. */
  readonly waiting?: Waiting
  /** Makes all connections share one heap of so many bytes. All its writers must trust each other. */
  readonly sharedHeapBytes?: number
  /**
   * Makes a heap of so many bytes that this server alone can write: see `Server.published`. Clients read it, each beside
   * a heap of its own; the kernel keeps them from writing to it, whatever program they are.
   */
  readonly publishedHeapBytes?: number
  /** Clients at once; 8192 by default. */
  readonly maxConnections?: number
  /** Bytes of private copies that one connection's calls may hold at a time (isolation); 64 MiB by default. */
  readonly snapshotBytes?: number
  /**
   * What the seals of arguments must hold against. A call of a method with isolation `seal` whose client's seals hold against less is
   * refused; `auto` copies its argument then.
   */
  readonly seals?: SealDemand
  /** Asks for huge pages behind the heaps. Whether any were obtained is in {@link ServerConnection.hugePageBytes}. */
  readonly hugePages?: boolean
  /** Told when a handler throws something that is not an RpcError; by default such errors go to `console.error`. */
  readonly onError?: (error: unknown, method: string) => void
  /** Told when a client has connected. */
  readonly onConnection?: (connection: ServerConnection) => void
}

export const SERVER_OPTIONS: OptionNames<ServerOptions> = {
  waiting: true, sharedHeapBytes: true, publishedHeapBytes: true, maxConnections: true, snapshotBytes: true, seals: true, hugePages: true, onError: true, onConnection: true,
}

/** Refuses what makes no sense before anything is served. A wrong way of waiting is refused where it is read. */
export function requireServerOptions(options: ServerOptions): void {
  // 0 is no such heap, as if it were left out.
  requireNumber('sharedHeapBytes', options.sharedHeapBytes, 0, FOUR_GIB)
  requireNumber('publishedHeapBytes', options.publishedHeapBytes, 0, FOUR_GIB)
  requireNumber('maxConnections', options.maxConnections, 1)
  requireNumber('snapshotBytes', options.snapshotBytes, 0)
  requireFlag('hugePages', options.hugePages)
  requireFunction('onError', options.onError)
  requireFunction('onConnection', options.onConnection)
  requireSealDemand(options.seals ?? {})
}
