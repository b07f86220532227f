import { RpcError } from '../../base/errors.js'
import { codecOf, isType } from '../codec.js'
import type { StructType } from '../types.js'
import { StructCodec } from './struct.js'

/** Where one field lies in an object of its struct. */
export interface FieldLayout {
  readonly name: string
  /** How it lies there: `u32`, `text`, `list`, `ref` …, as docs/layout.md draws each. */
  readonly kind: string
  /** The type as it is declared: `list(text)`. */
  readonly type: string
  /** Bytes from the start of the object, whose first four are its header. */
  readonly offset: number
  /** Bytes that it takes there. */
  readonly bytes: number
}

/** How the objects of a struct lie in memory: see {@link layoutOf}. */
export interface ObjectLayout {
  readonly name: string
  /** Bytes of an object. */
  readonly bytes: number
  /** The first four bytes of an object, little endian: a hash of the name << 16 | words of four bytes. A peer's older version has fewer words. */
  readonly header: number
  /** In the order in which they are declared, which is the order in memory. */
  readonly fields: readonly FieldLayout[]
}

/**
 * Where the fields of a struct lie, for code that reads its objects by itself: compiled handlers, native programs.
 * @throws RpcError INVALID_ARGUMENT for what is no struct.
 */
export function layoutOf(type: StructType): ObjectLayout {
  const codec = isType(type) ? codecOf(type) : undefined
  if (!(codec instanceof StructCodec)) throw new RpcError('INVALID_ARGUMENT', 'layoutOf takes a struct: layoutOf(Post)')
  const { words, header, fields } = codec.layout
  return {
    name: codec.name,
    bytes: words * 4,
    header: header >>> 0,
    fields: fields.map((field) => ({ name: field.name, kind: field.type.kind, type: field.type.label, offset: field.offset, bytes: field.codec.bytes })),
  }
}
