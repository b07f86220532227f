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
 *                         u32 seals     what became of the client's seals: SealState
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
 *   +32  u32 used      bytes of the scope that hold objects; in an answer that is OWNED, of the result's
 *                        chunk; 0 when the result leads out of it
 *   +36  u32 seal      index of the seal descriptor; only with HAS_SEAL. The server marks it complete before it answers,
 *                        whatever it answers
 *   +40  u32 cancelled 2k+1 of the last request of this slot that was cancelled
 *        --- written by the server ---
 *   +44  u32 answer    bits 0-7 status; bits 8-15 flags; bits 16-31 with OWNED, KiB that the result's chunk takes, rounded up; the
 *                        client writes 0, so that an answer of 0 need not be written
 *   +48  u64 result    a cell; when the status is not OK, the text of the error
 *   +56  u64 chunk     address of the chunk that holds the result; only with OWNED
 *
 * The client's words of a slot are its own until it publishes 2k+1, then the server's until that publishes 2k+2.
 */
export const CONTROL_KIND = 0x6c727463 // 'ctrl'

/** Where the lines of flags and the slots start, in words. */
export const enum ControlWord {
  CLIENT_LINE = 16,
  SERVER_LINE = 32,
  SLOTS = 64,
}

/** Words of a line of flags. */
export const enum Line {
  WAITING = 0,
  CPU = 1,
  CLOSING = 2,
  CANCELS = 3,
  SEALS = 4,
}

/** Values of {@link Line.SEALS} in the server's line. */
export const SealState = {
  PENDING: 0,
  /** The server can verify the client's seals from now on. */
  ATTACHED: 1,
  /** They hold against less than the server demands. */
  TOO_WEAK: 2,
  /** No method of the server wants seals, or it could not attach. */
  NONE: 3,
} as const

/** The number of no method: a request with it, which is refused, only gives its seal, or results, back. */
export const NO_METHOD = 0xffff_ffff

/** Values of {@link Line.WAITING}. */
export const enum WaitingFlag {
  POLLING = 0,
  ASLEEP = 1,
}

/** Words of a slot. */
export const enum Slot {
  WORD = 0,
  METHOD = 1,
  REQUEST = 2,
  TIMEOUT = 3,
  ARGUMENT = 4,
  SCOPE = 6,
  USED = 8,
  SEAL = 9,
  CANCELLED = 10,
  ANSWER = 11,
  RESULT = 12,
  CHUNK = 14,
}

/** The size of a slot. */
export const enum SlotSize {
  WORDS = 16,
  SHIFT = 4,
}

/** Bits of {@link Slot.REQUEST}. */
export const enum Request {
  FLAGS = 0xffff,
  HAS_TIMEOUT = 1,
  HAS_SCOPE = 2,
  /** The result of this slot's previous call has been given back: its chunk is the server's again. */
  RETURNS_RESULT = 4,
  /** The argument's scope is sealed, under the descriptor in {@link Slot.SEAL}. */
  HAS_SEAL = 8,
  /** With {@link NO_METHOD}: the client has freed results itself, which only the server can take back. */
  COLLECT = 32,
  NEXT_SHIFT = 16,
}

/** Bits of {@link Slot.ANSWER}. */
export const enum Answer {
  STATUS = 0xff,
  /** The result's memory is the client's to give back. */
  OWNED = 0x100,
  CHUNK_SHIFT = 16,
  /** KiB; a longer chunk is said to take so many. */
  CHUNK_MAX = 0xffff,
}

/**
 * Slots of a connection: a power of two. One of them is always announced for the next request, so that one call less can be
 * in flight. The upper end is what fits into a request's word.
 */
export const SLOTS_DEFAULT = 64
export const SLOTS_MIN = 2
export const SLOTS_MAX = 32768

export const CONTROL_FINGERPRINT = fingerprintOf([
  ControlWord.CLIENT_LINE, ControlWord.SERVER_LINE, Line.WAITING, Line.CPU, Line.CLOSING, Line.CANCELS, Line.SEALS, SealState.ATTACHED, SealState.TOO_WEAK, SealState.NONE, ControlWord.SLOTS, SlotSize.WORDS,
  Slot.METHOD, Slot.REQUEST, Slot.TIMEOUT, Slot.ARGUMENT, Slot.SCOPE, Slot.USED, Slot.SEAL, Slot.CANCELLED, Slot.ANSWER,
  Slot.RESULT, Slot.CHUNK, Request.HAS_TIMEOUT, Request.HAS_SCOPE, Request.RETURNS_RESULT, Request.HAS_SEAL, Request.COLLECT, Request.NEXT_SHIFT, Answer.OWNED, Answer.CHUNK_SHIFT,
])

/** Bytes of a control region with so many slots: whole pages. */
export function controlBytes(slots: number): number {
  return roundUp(ControlWord.SLOTS * 4 + slots * SlotSize.WORDS * 4, PAGE_BYTES)
}

/** Bytes that the chunk of a result takes, as its server says: at least those that hold objects, however little it is of a chunk that is used again. */
export function chunkBytes(answer: number, usedBytes: number): number {
  return Math.max(usedBytes, (answer >>> Answer.CHUNK_SHIFT) << 10)
}

/** Index of a slot's first word. */
export function slotWord(slot: number): number {
  return ControlWord.SLOTS + (slot << SlotSize.SHIFT)
}

