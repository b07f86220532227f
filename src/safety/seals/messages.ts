import { unreachable } from '../../base/assert.js'
import { Status, type StatusName } from '../../base/errors.js'
import { PAGE_BYTES, type Address } from '../../base/numbers.js'
import { ERROR_LENGTH_MAX, HEAP_BYTES_MAX } from '../../control/protocol/limits.js'
import { decodeBy, type Tagged } from '../../control/protocol/messages.js'
import { type Check, integer, list, matching, oneOf, ProtocolError, shape, text } from '../../control/protocol/validate.js'
import { DESCRIPTORS_MAX, REQUESTS_MAX } from '../../layout/seal-layout.js'
import { HEAPS_BASE, WINDOW_END } from '../../sys/index.js'
import { HOLES, type Hole } from './strength.js'

// The sealer's protocol: one JSON object a packet, descriptors beside it; a packet of one byte is a doorbell.

/** Raised when an old peer would misread a message. */
export const SEALER_VERSION = 6

const id = integer(1, 0xffff_ffff)
const token = matching(/^[0-9a-f]{32}$/, '32 hexadecimal digits')
const addressNumber = integer(HEAPS_BASE, WINDOW_END - 1)
const address: Check<Address> = (value, field) => pageMultiple(addressNumber(value, field), field) as Address
const lengthNumber = integer(PAGE_BYTES, HEAP_BYTES_MAX)
const byteLength: Check<number> = (value, field) => pageMultiple(lengthNumber(value, field), field)
const code: Check<Exclude<StatusName, 'OK'>> = oneOf(...(Object.keys(Status) as StatusName[]).filter((one) => one !== 'OK'))
const hole = oneOf(...(Object.keys(HOLES) as Hole[]))
const except = list(hole, Object.keys(HOLES).length)

function pageMultiple(value: number, field: string): number {
  if (value % PAGE_BYTES !== 0) throw new ProtocolError(`the field ${field} must be whole pages of ${PAGE_BYTES} bytes`)
  return value
}

function powerOfTwo(max: number): Check<number> {
  const range = integer(2, max)
  return (value, field) => {
    const checked = range(value, field)
    if ((checked & (checked - 1)) !== 0) throw new ProtocolError(`the field ${field} must be a power of two`)
    return checked
  }
}

const sender = {
  token, address, byteLength, descriptors: powerOfTwo(DESCRIPTORS_MAX), requests: powerOfTwo(REQUESTS_MAX),
}

const requests = {
  hello: shape({ version: integer(0, 0xffff_ffff) }),
  /** Asks for what a userfaultfd is made with. */
  device: shape({ id }),
  /**
   * A launcher of the sealer's own user confined that process, whose userfaultfd for this heap comes along, and the heap's file. It has
   * not begun yet (stopped: the userfaultfd was never set up), or, at a sealer that came after another one, it runs; broken: and the sealer
   * before found that its seals do not count.
   */
  attest: shape({ id, pid: integer(1, 0xffff_ffff), uid: integer(0, 0xffff_ffff), address, byteLength, stage: oneOf('stopped', 'runs', 'broken') }),
  /** The pages of this process are to be sealed; its userfaultfd comes along, unless a launcher attested it. */
  attachSender: shape({ id, ...sender }),
  /** Calls whose arguments lie in these pages are received; the heap's file comes along. */
  attachReceiver: shape({ id, token, address, byteLength }),
  /** After a restart of the sealer: this process still has the memory that it was given. */
  resume: shape({ id, token, address, end: oneOf('sender', 'receiver') }),
  /** This end is gone. Also of one that did not come back to this sealer, which else would wait for it. */
  detach: shape({ id, token, address, end: oneOf('sender', 'receiver') }),
} as const

const notices = {
  welcome: shape({ version: integer(0, 0xffff_ffff), pid: integer(0, 0xffff_ffff) }),
  /** `device` comes along unless this sealer may not open it: then the sender's own system call must do. */
  device: shape({ id, granted: oneOf('device', 'none') }),
  done: shape({ id }),
  /** To a sender: the files of requests and (read-only) of descriptors, and the bell. */
  sending: shape({ id, except }),
  /** To a receiver: the file of descriptors, and the life files of those who hold the seals in force. */
  receiving: shape({ id, except, descriptors: powerOfTwo(DESCRIPTORS_MAX), holders: integer(0, 2) }),
  /** To a sender comes a new bell, to a receiver who holds the seals now. */
  resumed: shape({ id, bells: integer(0, 1), holders: integer(0, 2) }),
  /** To a receiver: another process holds the seals from now on; its life file comes along. */
  holder: shape({}),
  /** The other end is gone: nothing is sealed any more. */
  ended: shape({ token, address }),
  /** To a launcher: seals of this heap that it told of do not count any more. */
  broken: shape({ pid: integer(1, 0xffff_ffff), address }),
  error: shape({ id, code, message: text(ERROR_LENGTH_MAX) }),
  goodbye: shape({ code, message: text(ERROR_LENGTH_MAX) }),
} as const

export type SealerRequest = Tagged<typeof requests>[keyof typeof requests]
export type SealerNotice = Tagged<typeof notices>[keyof typeof notices]
export type SenderAttachment = Extract<SealerRequest, { type: 'attachSender' }>

export const decodeSealerRequest = (bytes: Uint8Array): SealerRequest => decodeBy(requests, bytes)
export const decodeSealerNotice = (bytes: Uint8Array): SealerNotice => decodeBy(notices, bytes)

/** How many descriptors come with a notice. */
export function noticeDescriptors(notice: SealerNotice): number {
  switch (notice.type) {
    case 'device': return notice.granted === 'device' ? 1 : 0
    case 'sending': return 3
    case 'receiving': return 1 + notice.holders
    case 'resumed': return notice.bells + notice.holders
    case 'holder': return 1
    case 'welcome': case 'done': case 'ended': case 'broken': case 'error': case 'goodbye': return 0
    default: return unreachable(notice)
  }
}

/**
 * What is kept of a sealed heap across the sealer's death; userfaultfd, requests and descriptors come along. `broken`: its sender was found at
 * something that breaks seals; ended: then the heap ended, and its launcher does not know it yet.
 */
const kept = {
  heap: shape({
    ...sender, except, events: oneOf('yes', 'no'), confined: oneOf('yes', 'no'), broken: oneOf('no', 'yes', 'ended'), senderPid: integer(1, 0xffff_ffff), receiverPid: integer(1, 0xffff_ffff),
  }),
} as const

export type KeptHeap = Tagged<typeof kept>['heap']
export const decodeKept = (bytes: Uint8Array): KeptHeap => decodeBy(kept, bytes)

const TOKEN_KEY = /^[0-9a-f]{32}\/[0-9a-f]{1,12}$/
const key = matching(TOKEN_KEY, 'a token and an address')

const keeping = {
  keep: shape({ key, meta: text(4096) }),
  forget: shape({ key }),
  list: shape({}),
  kept: shape({ key, meta: text(4096) }),
  /** The end of the list; the keeper's life file comes along. */
  end: shape({}),
} as const
export type KeeperMessage = Tagged<typeof keeping>[keyof typeof keeping]
export const decodeKeeperMessage = (bytes: Uint8Array): KeeperMessage => decodeBy(keeping, bytes)

/** Names one sealed heap of one connection. */
export function heapKey({ token, address }: { readonly token: string, readonly address: number }): string {
  return `${token}/${address.toString(16)}`
}
