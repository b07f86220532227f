import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { PAGE_BYTES, type Address } from '../../base/numbers.js'
import { HEAPS_BASE, WINDOW_END } from '../../sys/index.js'
import { readOwnFile } from '../place/own-file.js'
import { EXPECTED_MS, HEAP_BYTES_MAX, MEMBER_MAX, PROTOCOL_VERSION } from '../protocol/limits.js'
import type { BookEntry, NameEntry, Role } from '../orchestrator/state.js'
import type { Attachment, ConnectionId, HeapId, HeapKind } from '../protocol/types.js'

/*
 * The daemon's book: the attachments and names that it has given out and not got back, in a file that outlives it (a page that was written stays
 * when its writer is killed). One record of eight numbers (f64) each:
 *
 *    0       1        2      3      4            5     6         7
 *    heap    member   kind   role   connection   uid   address   bytes       heap 0: the record is free
 *    name    0        0      0      0            uid   0         0           a channel's name, as a number
 *    MAGIC   version  until  0 ...                                           the first record
 *
 * `until` (milliseconds since 1970): of a daemon that ended because nobody needed it, when it had struck the rest; else 0.
 */

const RECORD_BYTES = 64
const RECORD_NUMBERS = 8
const MAGIC = 0x72_70_63_62_6f_6f // "rpcboo"
const KINDS: readonly HeapKind[] = ['control', 'private', 'shared', 'published', 'sealable', 'prepared']
const ROLES: readonly Role[] = ['own', 'client', 'server']
const FREE = new Float64Array(RECORD_NUMBERS)

/** Used under the daemon's lock: one daemon writes it, after the one before has died. */
export class AttachmentBook {
  /** What the daemon before had given out when it died. */
  readonly found: readonly BookEntry[]
  readonly foundNames: readonly NameEntry[]
  /** How long that is kept for who holds it, in milliseconds: daemons that end unused one after the other share the time of the first. */
  readonly expectedMs: number
  readonly #until: number
  readonly #path: string
  readonly #log: (line: string) => void
  readonly #records = new Map<string, number>()
  readonly #free: number[] = []
  #next = 1
  #fd = -1

  /** Reads the book of the daemon before, if there is one that can be read, and goes on with it. Throws nothing: what cannot be kept is told to `log`. */
  constructor(path: string, log: (line: string) => void) {
    this.#path = path
    this.#log = log
    const { entries, names, until } = readBook(path)
    this.found = entries
    this.foundNames = names
    this.expectedMs = until > 0 ? Math.max(0, Math.min(EXPECTED_MS, until - Date.now())) : EXPECTED_MS
    this.#until = Math.ceil(Date.now() + this.expectedMs)
    try {
      this.#begin()
    } catch (error) {
      this.#giveUp(error)
    }
  }

  enter(entry: BookEntry): void {
    this.#enter(keyOf(entry), encode(entry))
  }

  /** Nothing for what was never entered. */
  strike(attachment: Attachment): void {
    this.#strike(keyOf(attachment))
  }

  enterName(entry: NameEntry): void {
    this.#enter(nameKey(entry.number), encodeName(entry))
  }

  strikeName(number: number): void {
    this.#strike(nameKey(number))
  }

  #enter(key: string, numbers: Float64Array): void {
    if (this.#fd < 0) return
    // A name that comes back is there already, of the same user.
    const record = this.#records.get(key) ?? this.#free.pop() ?? this.#next++
    try {
      this.#write(record, numbers)
      this.#records.set(key, record)
    } catch (error) {
      if (!this.#records.has(key)) this.#free.push(record)
      this.#log(`what was given out is lost with this daemon: it cannot be noted: ${String(error)}`)
    }
  }

  #strike(key: string): void {
    if (this.#fd < 0) return
    const record = this.#records.get(key)
    if (record === undefined) return
    this.#records.delete(key)
    this.#free.push(record)
    try {
      this.#write(record, FREE)
    } catch (error) {
      this.#giveUp(error)
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }

  /** Nobody holds anything of this daemon's: what still stands here was found. */
  closeUnused(): void {
    try {
      if (this.#fd >= 0) this.#writeHead(this.#until)
    } catch (error) {
      this.#giveUp(error)
    }
    this.close()
  }

  /** A fresh file with what was found, whole or not at all: gaps go. */
  #begin(): void {
    const fresh = `${this.#path}.new`
    rmSync(fresh, { force: true })
    this.#fd = openSync(fresh, 'wx+', 0o600)
    this.#writeHead(0)
    const all = [...this.found.map((one) => [keyOf(one), encode(one)] as const), ...this.foundNames.map((one) => [nameKey(one.number), encodeName(one)] as const)]
    for (const [key, numbers] of all) {
      const record = this.#next++
      this.#write(record, numbers)
      this.#records.set(key, record)
    }
    renameSync(fresh, this.#path)
  }

  /** Rather no book than one that says that somebody holds what he gave back: the next daemon believes it. */
  #giveUp(error: unknown): void {
    this.#log(`cannot keep the book: what participants hold is lost with this daemon: ${String(error)}`)
    this.close()
    try {
      rmSync(this.#path, { force: true })
    } catch (cause) {
      this.#log(`the book cannot be removed: ${String(cause)}`)
    }
  }

  #writeHead(until: number): void {
    this.#write(0, Float64Array.of(MAGIC, PROTOCOL_VERSION, until, 0, 0, 0, 0, 0))
  }

  #write(record: number, numbers: Float64Array): void {
    const written = writeSync(this.#fd, numbers, 0, RECORD_BYTES, record * RECORD_BYTES)
    if (written !== RECORD_BYTES) throw new Error(`${written} of ${RECORD_BYTES} bytes were written`)
  }
}

function keyOf({ heap, member }: Attachment): string {
  return `${heap}/${member}`
}

function encode({ heap, member, kind, role, via, uid, address, byteLength }: BookEntry): Float64Array {
  return Float64Array.of(heap, member, KINDS.indexOf(kind), ROLES.indexOf(role), via?.id ?? 0, uid, address, byteLength)
}

function nameKey(number: number): string {
  return `name ${number}`
}

function encodeName({ number, uid }: NameEntry): Float64Array {
  return Float64Array.of(number, 0, 0, 0, 0, uid, 0, 0)
}

function readBook(path: string): { entries: BookEntry[], names: NameEntry[], until: number } {
  const bytes = readOwnFile(path)
  // There was no daemon before.
  if (bytes === undefined) return { entries: [], names: [], until: 0 }
  const numbers = new Float64Array(new Uint8Array(bytes).buffer, 0, Math.floor(bytes.length / 8))
  if (numbers[0] !== MAGIC || numbers[1] !== PROTOCOL_VERSION) return { entries: [], names: [], until: 0 }
  const entries = new Map<string, BookEntry>()
  const names = new Map<number, NameEntry>()
  for (let at = RECORD_NUMBERS; at + RECORD_NUMBERS <= numbers.length; at += RECORD_NUMBERS) {
    const record = numbers.subarray(at, at + RECORD_NUMBERS)
    const entry = decode(record)
    const name = decodeName(record)
    if (entry !== undefined) entries.set(keyOf(entry), entry)
    if (name !== undefined) names.set(name.number, name)
  }
  return { entries: [...entries.values()], names: [...names.values()], until: numbers[2]! }
}

function decodeName(record: Float64Array): NameEntry | undefined {
  const [number, member, kind, role, id, uid, address, byteLength] = record as unknown as Eight
  const isName = [member, kind, role, id, address, byteLength].every((one) => one === 0)
  return isName && number > 0 && Number.isSafeInteger(number) && Number.isSafeInteger(uid) && uid >= 0 ? { number, uid } : undefined
}

type Eight = readonly [number, number, number, number, number, number, number, number]

/** Undefined for a free record, and for what no daemon writes: a damaged book costs connections, and ends nobody. */
function decode(numbers: Float64Array): BookEntry | undefined {
  const [heap, member, kindIndex, roleIndex, id, uid, address, byteLength] = numbers as unknown as Eight
  const [kind, role] = [KINDS[kindIndex], ROLES[roleIndex]]
  const isWhole = numbers.every((number) => Number.isSafeInteger(number) && number >= 0)
  if (!isWhole || heap === 0 || member < 1 || member > MEMBER_MAX || kind === undefined || role === undefined || (role === 'own') !== (id === 0)) return undefined
  const isPages = address % PAGE_BYTES === 0 && byteLength % PAGE_BYTES === 0 && byteLength > 0 && byteLength <= HEAP_BYTES_MAX
  if (!isPages || address < HEAPS_BASE || address + byteLength > WINDOW_END) return undefined
  const via = role === 'own' ? undefined : { id: id as ConnectionId, end: role }
  return { heap: heap as HeapId, member, kind, role, via, uid, address: address as Address, byteLength }
}
