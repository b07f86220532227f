import type { Address } from '../../base/numbers.js'
import type { Notice } from '../protocol/messages.js'
import { Transaction, type Store } from './store.js'
import type { Attachment, ConnectionEnd, ConnectionId, End, HeapId, HeapKind, ParticipantId, Standing } from '../protocol/types.js'

// The orchestrator's records. All are immutable: a change writes a new record.

export interface ParticipantRecord {
  readonly id: ParticipantId
  readonly pid: number
  readonly uid: number
  readonly gid: number
  readonly channels: readonly string[]
  /** The connection ends it holds. */
  readonly ends: readonly ConnectionEnd[]
  /** All its attachments, control regions included. */
  readonly attachments: readonly Attachment[]
  readonly standing: Standing
  /** Processes for which it prepared heaps. */
  readonly launched: readonly number[]
}

/** What a launcher prepared for the program of one process. */
export interface PreparedRecord {
  readonly pid: number
  readonly uid: number
  readonly launcher: ParticipantId
  /** `reader`: the user whose servers have had the heap, and may read it still. */
  readonly heaps: ReadonlyArray<{ readonly heap: HeapId, readonly reader: number | undefined }>
}

export interface ChannelRecord {
  readonly name: string
  readonly server: ParticipantId
  /** Who registered it. Access lists will refer to this owner. */
  readonly owner: { readonly uid: number, readonly gid: number }
  readonly info: string
  /** The server's own attachments to the heaps of the channel: those that are shared, then the one that is published. */
  readonly heaps: readonly Attachment[]
  /** Connections that the server has not decided on. */
  readonly pending: number
}

export interface EndRecord {
  /** Undefined when it is gone, or, after a restart, not back yet. */
  readonly participant: ParticipantId | undefined
  /** Undefined when this end closed. */
  readonly control: Attachment | undefined
  /** Attachments that came with the connection: its own heaps, and for a client those of the channel. */
  readonly heaps: readonly Attachment[]
}

export interface ConnectionRecord {
  readonly id: ConnectionId
  readonly channel: string
  readonly token: string
  /** Pending: the server has not decided. Awaited: after a restart only one end is back. Ended: one end is left and was told. */
  readonly stage: 'pending' | 'open' | 'awaited' | 'ended'
  /** The client's request, so that it can cancel. */
  readonly request: number
  readonly client: EndRecord
  readonly server: EndRecord
}

/** What an attachment is for: a heap of one's own channel, or that one launched a program with, or an end of a connection. */
export type Role = 'own' | End

export interface HolderRecord {
  readonly participant: ParticipantId
  readonly member: number
  readonly role: Role
  /** The connection end that the attachment came with, which after a restart may not be claimed yet; undefined for one's own. */
  readonly via: ConnectionEnd | undefined
}

/** An attachment that the daemon before had given out when it died, and that nobody has claimed yet. */
export interface ExpectedRecord {
  readonly member: number
  readonly role: Role
  readonly via: ConnectionEnd | undefined
  /** The only user who may claim it. */
  readonly uid: number
}

/** A channel's name whose server is expected back, by {@link numberOfName}, and the only user who may take it meanwhile. */
export interface NameEntry {
  readonly number: number
  readonly uid: number
}

/** An attachment as it is remembered beyond the daemon's death. */
export interface BookEntry extends ExpectedRecord {
  readonly heap: HeapId
  readonly kind: HeapKind
  readonly address: Address
  readonly byteLength: number
}

export interface HeapRecord {
  readonly id: HeapId
  readonly kind: HeapKind
  readonly address: Address
  readonly byteLength: number
  /** Whether the daemon holds the file, for participants to come. */
  readonly held: boolean
  readonly holders: readonly HolderRecord[]
  readonly expected: readonly ExpectedRecord[]
  readonly nextMember: number
}

/** What one 4 GiB slot of the address window holds: offset and length of each range, by offset. */
export interface SlotRecord {
  readonly ranges: ReadonlyArray<readonly [offset: number, byteLength: number]>
}

export interface CounterRecord {
  readonly nextId: number
  readonly participants: number
  readonly heaps: number
  readonly bytes: number
  /** Where the search for the next address starts. */
  readonly slot: number
  readonly offset: number
}

/** Something is to happen to a connection or heap unless it changes before. */
export interface TimerRecord {
  readonly at: number
  readonly purpose: { readonly pending: ConnectionId } | { readonly awaited: ConnectionId } | { readonly claimed: HeapId } | { readonly expected: true }
}

export class Table<T extends object> {
  constructor(private readonly transaction: Transaction, private readonly name: string) {}

  get(key: string | number): T | undefined {
    return this.transaction.read(this.name, String(key)) as T | undefined
  }

  set(key: string | number, value: T): void {
    this.transaction.write(this.name, String(key), value)
  }

  delete(key: string | number): void {
    this.transaction.write(this.name, String(key), undefined)
  }

  /** The records before this decision. */
  *list(): Iterable<T> {
    for (const [, value] of this.transaction.list(this.name)) yield value as T
  }
}

/** What the daemon is to do. Carried out in order; when a `create` fails the rest is dropped and `createFailed` handled. */
export type Effect =
  | { readonly kind: 'create', readonly heap: HeapId, readonly label: string, readonly byteLength: number, readonly toPublish: boolean, readonly undo: Undo }
  /** Keep the file that came with the message at this place. */
  | { readonly kind: 'adopt', readonly heap: HeapId, readonly index: number }
  /** Close the daemon's descriptor of the file, as soon as messages before this one have left. */
  | { readonly kind: 'close', readonly heap: HeapId }
  | { readonly kind: 'send', readonly to: ParticipantId, readonly message: Notice, readonly files: readonly HeapId[] }
  /** Remember, beyond the daemon's death, which slots were used: a successor goes on behind them. */
  | { readonly kind: 'saveSlot', readonly slot: number }
  /** Remember, beyond the daemon's death, that this attachment was given out. */
  | { readonly kind: 'enter', readonly entry: BookEntry }
  /** It has ended, or will never be used. */
  | { readonly kind: 'strike', readonly attachment: Attachment }
  /** The same for a channel's name. */
  | { readonly kind: 'enterName', readonly entry: NameEntry }
  | { readonly kind: 'strikeName', readonly number: number }

/** What a failed `create` was for. */
export type Undo =
  | { readonly for: 'open', readonly connection: ConnectionId }
  | { readonly for: 'register', readonly participant: ParticipantId, readonly request: number, readonly channel: string }
  | { readonly for: 'grow' | 'prepare', readonly participant: ParticipantId, readonly request: number }

/** One decision: the records it reads and writes, the effects it asks for. */
export class Decision {
  readonly effects: Effect[] = []
  readonly participants: Table<ParticipantRecord>
  readonly channels: Table<ChannelRecord>
  readonly connections: Table<ConnectionRecord>
  readonly heaps: Table<HeapRecord>
  readonly slots: Table<SlotRecord>
  readonly timers: Table<TimerRecord>
  readonly prepared: Table<PreparedRecord>
  /** Names whose servers are expected back. */
  readonly names: Table<NameEntry>
  readonly counters: Table<CounterRecord>
  readonly #transaction: Transaction

  /** `now` in milliseconds, of any clock that only rises; `sign` as in {@link OrchestratorOptions}. */
  constructor(store: Store, readonly now: number, readonly sign: (text: string) => string) {
    this.#transaction = new Transaction(store)
    this.participants = new Table(this.#transaction, 'participants')
    this.channels = new Table(this.#transaction, 'channels')
    this.connections = new Table(this.#transaction, 'connections')
    this.heaps = new Table(this.#transaction, 'heaps')
    this.slots = new Table(this.#transaction, 'slots')
    this.timers = new Table(this.#transaction, 'timers')
    this.prepared = new Table(this.#transaction, 'prepared')
    this.names = new Table(this.#transaction, 'names')
    this.counters = new Table(this.#transaction, 'counters')
  }

  /** Asks for a message to a participant; nothing when it is gone. */
  send(to: ParticipantId | undefined, message: Notice, files: readonly HeapId[] = []): void {
    if (to === undefined || this.participants.get(to) === undefined) return
    this.effects.push({ kind: 'send', to, message, files })
  }

  commit(): boolean {
    return this.#transaction.commit()
  }

  counter(): CounterRecord {
    return this.counters.get('all') ?? { nextId: 1, participants: 0, heaps: 0, bytes: 0, slot: 0, offset: 0 }
  }

  count(change: Partial<CounterRecord>): void {
    this.counters.set('all', { ...this.counter(), ...change })
  }

  updateParticipant(id: ParticipantId, change: (record: ParticipantRecord) => Partial<ParticipantRecord>): void {
    const record = this.participants.get(id)
    if (record !== undefined) this.participants.set(id, { ...record, ...change(record) })
  }

  updateChannel(name: string, change: (record: ChannelRecord) => Partial<ChannelRecord>): void {
    const record = this.channels.get(name)
    if (record !== undefined) this.channels.set(name, { ...record, ...change(record) })
  }

  updateEnd(connection: ConnectionRecord, end: End, change: Partial<EndRecord>): ConnectionRecord {
    const record = { ...connection, [end]: { ...connection[end], ...change } }
    this.connections.set(connection.id, record)
    return record
  }
}

export function otherEnd(end: End): End {
  return end === 'client' ? 'server' : 'client'
}

export function sameAttachment(a: Attachment, b: Attachment): boolean {
  return a.heap === b.heap && a.member === b.member
}
