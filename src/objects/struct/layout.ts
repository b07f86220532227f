// A struct in memory, 8-byte aligned:
//
//   +0  u32   type hash (16 bits, from the name) << 16 | size in words (16 bits)
//   +4  …     fields in declaration order, each at its natural alignment; the size is rounded up to 8
//
// Appending fields therefore changes no offset. Where the size grows, the header tells an older object from a newer one;
// where a new field falls into what was padding, it reads as zero, because padding is written as zero.
import { RpcError } from '../../base/errors.js'
import { roundUp } from '../../base/numbers.js'
import { codecOf, isType, type AnyType, type Codec } from '../codec.js'
import { MAX_FIELDS, MAX_NAME_LENGTH, MAX_STRUCT_WORDS } from '../limits.js'

export interface Field {
  readonly name: string
  /** `Post.author`, as messages say it. */
  readonly where: string
  readonly type: AnyType
  readonly codec: Codec
  /** Bytes from the start of the object. */
  readonly offset: number
  /** Words that an object must have to contain the field. */
  readonly endWords: number
}

export interface StructLayout {
  readonly fields: readonly Field[]
  readonly byName: ReadonlyMap<string, Field>
  readonly words: number
  /** The first word of every object of this very version. */
  readonly header: number
}

// Names that views, JSON or promises give a meaning of their own.
const RESERVED: ReadonlySet<string> = new Set(['then', 'constructor', '__proto__', 'toJSON'])

export function requireName(name: unknown, what: string): asserts name is string {
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_LENGTH) {
    throw new RpcError('INVALID_ARGUMENT', `${what} must be a text of 1 to ${MAX_NAME_LENGTH} characters`)
  }
}

export function requireFieldNames(owner: string, fields: unknown): string[] {
  if (typeof fields !== 'object' || fields === null) throw new RpcError('INVALID_ARGUMENT', `${owner}: expected an object of names and types`)
  const names = Object.keys(fields)
  if (names.length > MAX_FIELDS) throw new RpcError('INVALID_ARGUMENT', `${owner} has ${names.length} fields; at most ${MAX_FIELDS} are possible`)
  for (const name of names) {
    requireName(name, `a name in ${owner}`)
    if (RESERVED.has(name) || name.startsWith('$')) {
      throw new RpcError('INVALID_ARGUMENT', `${owner}.${name}: the name is reserved (${[...RESERVED].join(', ')}, and what starts with $)`)
    }
    // Object.keys puts such names first, so declaration order would be lost.
    if (/^\d+$/.test(name)) throw new RpcError('INVALID_ARGUMENT', `${owner}.${name}: a name must not be a number`)
  }
  return names
}

export function typeOfField(owner: string, fields: object, name: string): AnyType {
  const type: unknown = Reflect.get(fields, name)
  if (!isType(type)) throw new RpcError('INVALID_ARGUMENT', `${owner}.${name} is not a type; types are u32, text, list(…), ref(…) and so on`)
  return type
}

/** Where each field lies. Called on first use, when the types that fields refer to exist. */
export function layOut(name: string, fields: object): StructLayout {
  let offset = 4
  const placed = Object.keys(fields).map((field): Field => {
    const where = `${name}.${field}`
    const type = typeOfField(name, fields, field)
    if (type.kind === 'nothing') throw new RpcError('INVALID_ARGUMENT', `${where}: nothing is not the type of a field; use optional(…)`)
    const codec = codecOf(type)
    offset = roundUp(offset, codec.align)
    const start = offset
    offset += codec.bytes
    return { name: field, where, type, codec, offset: start, endWords: Math.ceil(offset / 4) }
  })
  const words = roundUp(offset, 8) / 4
  if (words > MAX_STRUCT_WORDS) throw new RpcError('INVALID_ARGUMENT', `${name} takes ${words} words; a struct has at most ${MAX_STRUCT_WORDS}: use list(…) or bytes`)
  return { fields: placed, byName: new Map(placed.map((field) => [field.name, field])), words, header: (hashOfName(name) << 16) | words }
}

const namesByHash = new Map<number, string>()

/** 16 bits of FNV-1a over the name. */
export function hashOfName(name: string): number {
  let hash = 0x811c_9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x0100_0193)
  const folded = (hash ^ hash >>> 16) & 0xffff
  if (!namesByHash.has(folded)) namesByHash.set(folded, name)
  return folded
}

/** The struct that an object's header names, as far as this process knows it. */
export function nameOfHash(hash: number): string {
  const name = namesByHash.get(hash)
  return name === undefined ? `something else (0x${hash.toString(16)})` : `an object of struct ${name}`
}
