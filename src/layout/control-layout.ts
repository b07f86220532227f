import { roundUp, PAGE_BYTES } from '../base/numbers.js'
import { fingerprintOf } from './header.js'

/*
 * The control region of a connection.
 *
 *   +0      header line (header.ts), geometry = number of slots
 *   +64     client line   u32 waiting   0 polling, 1 asleep (ring the doorbell)
 *                         u32 cpu       the CPU it last ran on, + 1; 0 = unknown
 *                         u32 closing   1 = no more calls will come
 *                         u32 cancels   how many calls were cancelled so far
 *   +128    server line   the same words; closing: 1 = calls are refused, those in flight are answered
 *   +192    reserved line
 *   +256    slots of one line each:
 *
 *   +0   u32 word      2k+1: request k is here; 2k+2: its answer is here. Written last by either side.
 *        --- written by the client ---
 *   +4   u32 method
 *   +8   u32 request   bits 0-15 flags; bits 16-31 the slot of the next request, which the server polls from now on
 *   +12  u32 timeout   milliseconds the client waits; only with HAS_TIMEOUT
 *   +16  u64 argument  a cell: a scalar or a pointer
 *   +24  u64 scope     address of the first byte of the argument's scope; only with HAS_SCOPE
 *   +32  u32 used      bytes of the scope that hold objects
 *   +36  u32 seal      index of the seal descriptor + 1
 *   +40  u32 cancelled 2k+1 of the last request of this slot that was cancelled
 *        --- written by the server ---
 *   +44  u32 answer    bits 0-7 status; bits 8-15 flags; the client writes 0, so that an answer of 0 need not be written
 *   +48  u64 result    a cell; when the status is not OK, the text of the error
 *   +56  u64 chunk     address of the chunk that holds the result; only with OWNED
 *
 * The client's words of a slot are its own until it publishes 2k+1, then the server's until that publishes 2k+2.
 */
export const CONTROL_KIND = 0x6c727463 // 'ctrl'

export const CLIENT_LINE_WORD = 16
export const SERVER_LINE_WORD = 32
export const LINE_WAITING = 0
export const LINE_CPU = 1
export const LINE_CLOSING = 2
export const LINE_CANCELS = 3

export const WAITING_POLLING = 0
export const WAITING_ASLEEP = 1

export const SLOTS_WORD = 64
export const SLOT_WORDS = 16
export const SLOT_WORDS_SHIFT = 4

export const SLOT_WORD = 0
export const SLOT_METHOD = 1
export const SLOT_REQUEST = 2
export const SLOT_TIMEOUT = 3
export const SLOT_ARGUMENT = 4
export const SLOT_SCOPE = 6
export const SLOT_USED = 8
export const SLOT_SEAL = 9
export const SLOT_CANCELLED = 10
export const SLOT_ANSWER = 11
export const SLOT_RESULT = 12
export const SLOT_CHUNK = 14

export const REQUEST_FLAGS = 0xffff
export const REQUEST_HAS_TIMEOUT = 1
export const REQUEST_HAS_SCOPE = 2
/** The result of this slot's previous call has been given back: its chunk is the server's again. */
export const REQUEST_RETURNS_RESULT = 4
export const REQUEST_NEXT_SHIFT = 16

export const ANSWER_STATUS = 0xff
/** The result's memory is the client's to give back. */
export const ANSWER_OWNED = 0x100

/**
 * Slots of a connection: a power of two. One of them is always announced for the next request, so that one call less can be
 * in flight. The upper end is what fits into a request's word.
 */
export const SLOTS_DEFAULT = 64
export const SLOTS_MIN = 2
export const SLOTS_MAX = 32768

export const CONTROL_FINGERPRINT = fingerprintOf([
  CLIENT_LINE_WORD, SERVER_LINE_WORD, LINE_WAITING, LINE_CPU, LINE_CLOSING, LINE_CANCELS, SLOTS_WORD, SLOT_WORDS,
  SLOT_METHOD, SLOT_REQUEST, SLOT_TIMEOUT, SLOT_ARGUMENT, SLOT_SCOPE, SLOT_USED, SLOT_SEAL, SLOT_CANCELLED, SLOT_ANSWER,
  SLOT_RESULT, SLOT_CHUNK, REQUEST_HAS_TIMEOUT, REQUEST_HAS_SCOPE, REQUEST_RETURNS_RESULT, REQUEST_NEXT_SHIFT, ANSWER_OWNED,
])

/** Bytes of a control region with so many slots: whole pages. */
export function controlBytes(slots: number): number {
  return roundUp(SLOTS_WORD * 4 + slots * SLOT_WORDS * 4, PAGE_BYTES)
}

/** Index of a slot's first word. */
export function slotWord(slot: number): number {
  return SLOTS_WORD + (slot << SLOT_WORDS_SHIFT)
}

