import type { Address } from '../../base/numbers.js'
import { RpcError } from '../../base/errors.js'
import { addon } from '../../sys/index.js'

declare const brand: unique symbol
/** One isolate that speaks to a daemon. */
export type ParticipantId = number & { readonly [brand]: 'participant' }
export type ConnectionId = number & { readonly [brand]: 'connection' }
export type HeapId = number & { readonly [brand]: 'heap' }

/**
 * What the daemon lets a process do: `owner` is of its own user, `user` of one that it was told to serve, and may serve and connect;
 * `program` was launched, confined, by an owner's process as another user, and may connect.
 */
export type Standing = 'owner' | 'user' | 'program'

/** Which end of a connection: a participant may hold both. */
export type End = 'client' | 'server'

/**
 * What a memory file is for: the control region of a connection, a connection's own heap, a heap that a whole channel shares,
 * one that its server alone writes and all its clients read, or one that a connection's client alone writes, for arguments that are sealed:
 * `prepared` when a launcher mapped it into the client's process before its program began.
 */
export type HeapKind = 'control' | 'private' | 'shared' | 'published' | 'sealable' | 'prepared'

export interface ConnectionEnd {
  readonly id: ConnectionId
  readonly end: End
}

/** One attachment of a heap: `member` is unique among the living attachments of that heap. */
export interface Attachment {
  readonly heap: HeapId
  readonly member: number
}

/** Who is at the other end, as the daemon knows it from the kernel. */
export interface Peer {
  readonly participant: ParticipantId
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export interface MemoryDescription extends Attachment {
  readonly kind: HeapKind
  readonly address: Address
  /** Bytes; whole pages. */
  readonly byteLength: number
  /** The member at the other end of the connection; 0 when there is none (a heap that a server makes for its channel). */
  readonly peerMember: number
  /** That a daemon of this runtime directory gave it to this process: for the daemon after it. */
  readonly proof: string
}

/**
 * Memory that the daemon assigned to this isolate: an address, and the descriptor of the file to map there.
 * The descriptor belongs to the grant: map it, then `close` (mappings stay). The attachment lasts until it is released.
 */
export class MemoryGrant implements MemoryDescription, Disposable {
  readonly heap: HeapId
  readonly member: number
  readonly kind: HeapKind
  readonly address: Address
  readonly byteLength: number
  readonly peerMember: number
  readonly proof: string
  #fd: number

  /** Takes over the descriptor; -1 for memory that a launcher mapped into this process, which gets no file of it. */
  constructor(description: MemoryDescription, fd: number) {
    this.heap = description.heap
    this.member = description.member
    this.kind = description.kind
    this.address = description.address
    this.byteLength = description.byteLength
    this.peerMember = description.peerMember
    this.proof = description.proof
    this.#fd = fd
  }

  /** Shared by every connection of a channel, not private to one. */
  get shared(): boolean {
    return this.kind === 'shared'
  }

  /** Whether a file came along that is to be mapped. */
  get hasFile(): boolean {
    return this.#fd >= 0
  }

  /** The descriptor, which stays the grant's. Throws FAILED_PRECONDITION after `close`, and when there is none. */
  get fd(): number {
    if (this.#fd < 0) throw new RpcError('FAILED_PRECONDITION', `the descriptor of heap ${this.heap} is closed already`)
    return this.#fd
  }

  /** Closes the descriptor. Idempotent; what is mapped stays mapped. */
  close(): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    addon.closeFd(fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** What happens to a heap that one is attached to. Handlers must not throw. */
export interface HeapEvents {
  /** Another member died or released its attachment: what it owned may be adopted. */
  memberGone?(attachment: Attachment, gone: number): void
  /** After a restart of the daemon: every member not listed is gone. */
  livingMembers?(attachment: Attachment, living: readonly number[]): void
}

/**
 * What happens to a connection. Never called in the turn of the event loop in which the connection was handed out.
 * After `peerDied` or `connectionClosed` this end still holds its memory, until it releases the heaps and closes its end.
 */
export interface ConnectionEvents extends HeapEvents {
  /** The other end's isolate or process is gone. */
  peerDied?(): void
  /** The other end closed the connection. */
  connectionClosed?(): void
  /** The other end (or, for a shared heap, the server) added a heap. Its descriptor is closed when the handler returns. */
  heapAdded?(heap: MemoryGrant): void
}

/** A client that wants to connect. Its descriptors are closed when the handler has settled: map them before. */
export interface IncomingConnection extends ConnectionEnd {
  readonly end: 'server'
  readonly channel: string
  /** 16 random bytes in hexadecimal, known to both ends and the daemon. */
  readonly token: string
  readonly client: Peer
  /** What the client passed to `openConnection`: not checked by anybody yet, undefined when it is not even JSON. */
  readonly info: unknown
  readonly control: MemoryGrant
  /** The connection's own heap; undefined when the channel shares one. */
  readonly heap: MemoryGrant | undefined
  /** The client's attachments to the heaps of the channel. */
  readonly sharedMembers: readonly Attachment[]
}

export interface Acceptance {
  readonly events: ConnectionEvents
  /** Told to the client as `answer`. */
  readonly info?: Json
}

export interface ChannelEvents extends HeapEvents {
  /**
   * Decides on a client; throws (or rejects with) an RpcError to refuse it. When the client gives up or dies meanwhile, the
   * accepted connection's events say so at once.
   */
  incoming(request: IncomingConnection): Acceptance | Promise<Acceptance>
  /** After a restart of the daemon, the name could not be registered again: it belongs to somebody else now. */
  channelLost?(error: RpcError): void
}

export interface ChannelOptions {
  /** Small JSON about the server, told to its clients as `serverInfo`. */
  readonly info?: Json
  /** Makes the channel share one heap of so many bytes (whole pages) among all its connections. */
  readonly sharedHeapBytes?: number
  /** Gives the channel one heap of so many bytes (whole pages) that only its server can write. */
  readonly publishedHeapBytes?: number
  readonly timeoutMs?: number
}

export interface RegisteredChannel {
  readonly name: string
  /** The caller's to close. */
  readonly sharedHeap: MemoryGrant | undefined
  /**
   * The caller's to map, to publish (`publishMemoryFile`) and to close, before the event loop goes on: the file is handed to
   * clients as it is then.
   */
  readonly publishedHeap: MemoryGrant | undefined
}

export interface OpenOptions {
  /** Bytes of the connection's own heap; ignored when the channel shares one. */
  readonly heapBytes: number
  readonly controlBytes: number
  /** Small JSON for the server. */
  readonly info?: Json
  readonly timeoutMs?: number
  /** Gives the request up. */
  readonly signal?: AbortSignal | undefined
}

export interface OpenedConnection extends ConnectionEnd {
  readonly end: 'client'
  readonly channel: string
  /** 16 random bytes in hexadecimal, known to both ends and the daemon. */
  readonly token: string
  readonly server: Peer
  /** What the server registered. Not checked by anybody yet. */
  readonly serverInfo: unknown
  /** What the server's handler answered, null when nothing. Not checked by anybody yet. */
  readonly answer: unknown
  /** The caller's to close, as all grants here. */
  readonly control: MemoryGrant
  readonly heap: MemoryGrant
  /** Shared heaps that the channel grew by. */
  readonly furtherHeaps: readonly MemoryGrant[]
}

/** What the daemon says of itself. */
export interface DaemonIdentity {
  readonly pid: number
  /** This isolate's id at the daemon. */
  readonly participant: ParticipantId
  /** Who is trusted: every process of the same user could look into another one. Others who are served are not. */
  readonly boundary: 'same-user' | 'named-users'
}
