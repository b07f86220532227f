import { roundUp, PAGE_BYTES } from '../base/numbers.js'
import { fingerprintOf, HEADER_BYTES } from './header.js'

/*
 * Two files serve the seals of one heap. Pages are counted from the first sealable page.
 *
 * Seal requests: the sender and the sealer read and write; nobody else maps it.
 *
 *   +0      header line (header.ts), geometry = number of requests, a power of two
 *   +64     sender line   u32 waiting    0 awake, 1 asleep (a byte over the socket wakes it)
 *                         u32 cpu        the CPU it last ran on, + 1; 0 = unknown
 *                         u32 posted     how many requests were made so far, modulo 2^32
 *   +128    sealer line   u32 waiting    0 polling, 1 asleep, 2 waiting for the sender's bell (native/bells.cc)
 *                         u32 cpu
 *                         u32 done       how many of them were dealt with
 *   +192    requests, 16 bytes each, the n-th at n modulo their number:
 *             u32 code         by the sender: 1 seal, 2 release; then by the sealer: the outcome (SealOutcome)
 *             u32 page         first page           seal only
 *             u32 pages        how many             seal only
 *             u32 descriptor   index of the descriptor
 *
 * Seal descriptors: the sender can only read; the receiver and the sealer read and write.
 *
 *   +0      header line, geometry = number of descriptors, a power of two
 *   +64     state line    u32 broken     not 0 = the sealer found the sender at something that breaks seals
 *                         u32 pages      sealable pages
 *   +128    descriptors, 16 bytes each:
 *             u32 word         odd = sealed, even = free; goes up by one each time. Written last, by the sealer
 *             u32 page         first page
 *             u32 pages        how many
 *             u32 completed    by the receiver: the word it has done with
 *
 * The sealer acts on its private copies of everything but `completed`.
 */
export const SEAL_REQUESTS_KIND = 0x71726c73 // 'slrq'
export const SEAL_DESCRIPTORS_KIND = 0x73646c73 // 'slds'

export const REQUESTS_SENDER_WORD = 16
export const REQUESTS_SEALER_WORD = 32
export const REQUESTS_WAITING = 0
/** Values of `waiting`. */
export const REQUESTS_POLLING = 0
export const REQUESTS_ASLEEP = 1
export const REQUESTS_AT_BELL = 2
export const REQUESTS_CPU = 1
/** In the sender's line `posted`, in the sealer's `done`. */
export const REQUESTS_COUNT = 2
export const REQUESTS_WORD = 48

export const DESCRIPTORS_BROKEN_WORD = 16
export const DESCRIPTORS_PAGES_WORD = 17
export const DESCRIPTORS_WORD = 32

/** Words of a request and of a descriptor. */
export const RECORD_WORDS = 4
export const RECORD_WORDS_SHIFT = 2

export const REQUEST_CODE = 0
export const REQUEST_PAGE = 1
export const REQUEST_PAGES = 2
export const REQUEST_DESCRIPTOR = 3

export const DESCRIPTOR_SEQUENCE = 0
export const DESCRIPTOR_PAGE = 1
export const DESCRIPTOR_PAGES = 2
export const DESCRIPTOR_COMPLETED = 3

export const SEAL_REQUEST = 1
export const RELEASE_REQUEST = 2

/** What became of a request. Everything but DONE changed nothing. */
export const SealOutcome = {
  DONE: 16,
  /** Pages beyond the sealable range, or none. */
  OUT_OF_RANGE: 17,
  /** A page is sealed already. */
  OVERLAPS: 18,
  /** There is no such descriptor, or it is in use. */
  BAD_DESCRIPTOR: 19,
  /** The descriptor is not sealed. */
  NOT_SEALED: 20,
  /** The receiver has not marked the call complete. */
  NOT_COMPLETE: 21,
  /** The kernel refused. */
  REFUSED: 22,
  /** No such request. */
  UNKNOWN: 23,
} as const

/** Seals that may be in flight, unless asked otherwise; the upper end lets one connection use 4 MiB for descriptors. */
export const DESCRIPTORS_DEFAULT = 2048
export const DESCRIPTORS_MAX = 1 << 18
/** Requests in one go: as many as a batched release is long by default, four times over. */
export const REQUESTS_DEFAULT = 4096
export const REQUESTS_MAX = 1 << 16

const LAYOUT = [
  HEADER_BYTES, REQUESTS_SENDER_WORD, REQUESTS_SEALER_WORD, REQUESTS_WAITING, REQUESTS_ASLEEP, REQUESTS_AT_BELL, REQUESTS_CPU, REQUESTS_COUNT, REQUESTS_WORD, DESCRIPTORS_BROKEN_WORD,
  DESCRIPTORS_PAGES_WORD, DESCRIPTORS_WORD, RECORD_WORDS, REQUEST_PAGE, REQUEST_PAGES, REQUEST_DESCRIPTOR, DESCRIPTOR_PAGE, DESCRIPTOR_PAGES,
  DESCRIPTOR_COMPLETED, SEAL_REQUEST, RELEASE_REQUEST, ...Object.values(SealOutcome),
]
export const SEALS_FINGERPRINT = fingerprintOf(LAYOUT)

export function sealRequestsBytes(requests: number): number {
  return roundUp((REQUESTS_WORD + requests * RECORD_WORDS) * 4, PAGE_BYTES)
}

export function sealDescriptorsBytes(descriptors: number): number {
  return roundUp((DESCRIPTORS_WORD + descriptors * RECORD_WORDS) * 4, PAGE_BYTES)
}

/** Index of the first word of a request's or a descriptor's record. */
export function requestWord(index: number): number {
  return REQUESTS_WORD + (index << RECORD_WORDS_SHIFT)
}

export function descriptorWord(index: number): number {
  return DESCRIPTORS_WORD + (index << RECORD_WORDS_SHIFT)
}
