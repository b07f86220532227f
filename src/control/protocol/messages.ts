import { unreachable } from '../../base/assert.js'
import { RpcError, Status, type StatusName } from '../../base/errors.js'
import { PAGE_BYTES, type Address } from '../../base/numbers.js'
import { HEAPS_BASE, MESSAGE_BYTES_MAX, WINDOW_END } from '../../sys/index.js'
import {
  CONTROL_BYTES_MAX, ERROR_LENGTH_MAX, HEAP_BYTES_MAX, HEAP_BYTES_MIN, HEAPS_PER_OWNER_MAX,
  INFO_LENGTH_MAX, MEMBER_MAX, NAME_BYTES_MAX, TIMEOUT_MS_MAX,
} from './limits.js'
import type { ConnectionId, HeapId, ParticipantId } from './types.js'
import { type Check, type Checked, id, integer, list, matching, oneOf, ProtocolError, shape, text } from './validate.js'

// The daemon's protocol: one JSON object per packet, descriptors beside it. Whoever sends something else is dropped.
//
// Opaque texts (info, answer) are JSON inside a string: the daemon never parses what it only passes on.

const requestId = integer(1, 0xffff_ffff)
const heap = id<HeapId>()
const connection = id<ConnectionId>()
const participant = id<ParticipantId>()
const end = oneOf('client', 'server')
const kind = oneOf('control', 'private', 'shared', 'published', 'sealable', 'prepared')
const member = integer(1, MEMBER_MAX)
const memberOrNobody = integer(0, MEMBER_MAX)
const name = text(NAME_BYTES_MAX)
const info = text(INFO_LENGTH_MAX)
const token = matching(/^[0-9a-f]{32}$/, '32 hexadecimal digits')
const message = text(ERROR_LENGTH_MAX)
const code: Check<Exclude<StatusName, 'OK'>> = oneOf(...(Object.keys(Status) as StatusName[]).filter((one) => one !== 'OK'))
const unsigned = integer(0, 0xffff_ffff)
const pid = integer(1, 0xffff_ffff)
const peer = shape({ participant, pid: unsigned, uid: unsigned, gid: unsigned })
const attachment = shape({ heap, member })

function pages(min: number, max: number): Check<number> {
  const range = integer(min, max)
  return (value, field) => {
    const checked = range(value, field)
    if (checked % PAGE_BYTES !== 0) throw new ProtocolError(`the field ${field} must be whole pages of ${PAGE_BYTES} bytes`)
    return checked
  }
}

const byteLength = pages(HEAP_BYTES_MIN, HEAP_BYTES_MAX)
const addressRange = pages(HEAPS_BASE, WINDOW_END - PAGE_BYTES)
const address: Check<Address> = (value, field) => addressRange(value, field) as Address
/** Of an attachment: who claims it from a daemon that starts after another one's death shows it. */
const proof = token
const memory = shape({ heap, member, kind, address, byteLength, peerMember: memberOrNobody, proof })

export type MemoryMessage = Checked<typeof memory>

/** What a participant sends. Those with an `id` are answered with that id, exactly once. */
const requests = {
  ping: shape({ id: requestId }),
  register: shape({ id: requestId, channel: name, info, sharedBytes: pages(0, HEAP_BYTES_MAX), publishedBytes: pages(0, HEAP_BYTES_MAX) }),
  unregister: shape({ id: requestId, channel: name }),
  open: shape({
    id: requestId, channel: name, heapBytes: byteLength, controlBytes: pages(PAGE_BYTES, CONTROL_BYTES_MAX), info,
    timeoutMs: integer(1, TIMEOUT_MS_MAX),
  }),
  /** Gives up an open with this id, whether it was answered meanwhile or not. */
  cancel: shape({ request: requestId }),
  accept: shape({ connection, answer: info }),
  refuse: shape({ connection, code, message }),
  grow: shape({ id: requestId, connection, end, byteLength, kind: oneOf('private', 'sealable') }),
  growChannel: shape({ id: requestId, channel: name, byteLength }),
  // Of a launcher, which must be of the daemon's user: a heap to map into a program before it begins, and which process that is.
  prepare: shape({ id: requestId, byteLength }),
  assign: shape({ id: requestId, heap, member, pid, uid: unsigned }),
  /** Of that program: one of its prepared heaps for the client's end of this connection. */
  growPrepared: shape({ id: requestId, connection }),
  release: shape({ heap, member }),
  /** Whoever waits for what another member holds asks whether that one is gone; `memberGone` answers, and silence that it is not. */
  inquire: shape({ heap, member, about: member }),
  close: shape({ connection, end }),
  // After a restart of the daemon: what the participant holds. Heaps first, then what refers to them.
  /** `highestMember`: of all it has heard of, so that a dead one's id is not given away at once. */
  claimHeap: shape({ id: requestId, heap, member, highestMember: member, proof }),
  /** The files of the channel's heaps come along, for clients to come. */
  claimChannel: shape({ id: requestId, channel: name, info, heaps: list(shape({ heap, member, byteLength }), HEAPS_PER_OWNER_MAX) }),
  /** Of a launcher; the file comes along. `readers`: the user whose servers have had it, if any. */
  claimPrepared: shape({ id: requestId, heap, member, byteLength, proof, pid, uid: unsigned, readers: list(unsigned, 1) }),
  claimConnection: shape({ id: requestId, connection, end, channel: name, token, control: attachment, heaps: list(attachment, 2 * HEAPS_PER_OWNER_MAX) }),
} as const

/** What the daemon sends. The descriptors that go with each are listed in {@link descriptorCount}. */
const notices = {
  welcome: shape({ version: unsigned, participant, pid: unsigned, boundary: oneOf('same-user', 'named-users') }),
  goodbye: shape({ code, message }),
  error: shape({ id: requestId, code, message }),
  done: shape({ id: requestId }),
  registered: shape({ id: requestId, heaps: list(memory, 2) }),
  opened: shape({
    id: requestId, connection, token, server: peer, serverInfo: info, answer: info, control: memory, heaps: list(memory, HEAPS_PER_OWNER_MAX),
  }),
  grown: shape({ id: requestId, memory }),
  prepared: shape({ id: requestId, memory }),
  incoming: shape({
    connection, channel: name, token, client: peer, info, control: memory, heaps: list(memory, 1), shared: list(attachment, HEAPS_PER_OWNER_MAX),
  }),
  heapAdded: shape({ connection, end, memory }),
  /** To a launcher: servers of this user get the file of a heap that it prepared, and no others may from now on. */
  preparedRead: shape({ heap, member, reader: unsigned }),
  peerDied: shape({ connection, end }),
  closed: shape({ connection, end }),
  memberGone: shape({ heap, member, gone: member }),
  livingMembers: shape({ heap, member, living: list(member, MEMBER_MAX) }),
} as const

/** A table of messages as one union, told apart by `type`. */
export type Tagged<T extends Readonly<Record<string, Check<object>>>> = { [K in keyof T & string]: { readonly type: K } & Checked<T[K]> }
export type Requests = Tagged<typeof requests>
export type Request = Requests[keyof Requests]
export type Notices = Tagged<typeof notices>
export type Notice = Notices[keyof Notices]
export interface Hello { readonly type: 'hello', readonly version: number }

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The JSON object in a packet. Throws ProtocolError. The bytes are private to this process. */
function parse(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch (cause) {
    throw new ProtocolError(`a packet of ${bytes.length} bytes is not JSON: ${String(cause).slice(0, 80)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ProtocolError('a packet holds no object')
  return value as Record<string, unknown>
}

/** A packet as one of the table's messages. Throws ProtocolError. */
export function decodeBy<T extends Readonly<Record<string, Check<object>>>>(table: T, bytes: Uint8Array): Tagged<T>[keyof T & string] {
  const { type, ...fields } = parse(bytes)
  if (typeof type !== 'string' || !Object.hasOwn(table, type)) {
    throw new ProtocolError(`unknown message ${JSON.stringify(type)?.slice(0, 40) ?? '(no type)'}`)
  }
  return { type, ...table[type]!(fields, type) } as Tagged<T>[keyof T & string]
}

/** Throws INVALID_ARGUMENT for what the daemon would drop its sender for: a mistake of this process's own program. */
export function checkRequest(message: Request): void {
  const { type, ...fields } = message
  try {
    requests[type](fields, type)
  } catch (error) {
    throw error instanceof ProtocolError ? new RpcError('INVALID_ARGUMENT', error.problem) : error
  }
}

/** A participant's message after its hello. Throws ProtocolError. */
export function decodeRequest(bytes: Uint8Array): Request {
  return decodeBy(requests, bytes)
}

/** A message of the daemon. Throws ProtocolError. */
export function decodeNotice(bytes: Uint8Array): Notice {
  return decodeBy(notices, bytes)
}

/** The first message. Other versions may say more in it, so only what every version must say is looked at. */
export function decodeHello(bytes: Uint8Array): Hello {
  const { type, version } = parse(bytes)
  if (type !== 'hello') throw new ProtocolError('the first message must be a hello')
  return { type, version: unsigned(version, 'hello.version') }
}

export function encode(message: Request | Notice | Hello): Uint8Array {
  return encodeMessage(message)
}

/** Any table's message as a packet. */
export function encodeMessage<T extends { readonly type: string }>(message: T): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(message), 'utf8')
  if (bytes.length > MESSAGE_BYTES_MAX) throw new ProtocolError(`a message ${message.type} of ${bytes.length} bytes is too long`)
  return bytes
}

/**
 * How many descriptors come with a message of the daemon: one per memory, but none with one that a launcher mapped; a server gets its
 * channel's heaps twice, to claim them later.
 */
export function descriptorCount(notice: Notice): number {
  switch (notice.type) {
    case 'registered': return 2 * notice.heaps.length
    case 'opened': return 1 + notice.heaps.length
    case 'grown': return notice.memory.kind === 'shared' ? 2 : notice.memory.kind === 'prepared' ? 0 : 1
    case 'prepared': return 1
    case 'incoming': return 1 + notice.heaps.length
    case 'heapAdded': return 1
    case 'welcome': case 'goodbye': case 'error': case 'done': return 0
    case 'peerDied': case 'closed': case 'memberGone': case 'livingMembers': case 'preparedRead': return 0
    default: return unreachable(notice)
  }
}

