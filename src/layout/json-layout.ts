/*
 * JSON in a heap. Every value is a cell of 8 bytes, NaN-boxed: [ lo32 | hi32 ], 8-aligned.
 *
 *   hi >> 16      value               low 16 bits of hi                 lo
 *   all 64 bits 0 nothing at all      0                                 0
 *   else          double              (the number's own bits)
 *   -7  FFF9      int32               0                                 the number
 *   -6  FFFA      constant            0                                 1 null, 2 false, 3 true
 *   -5  FFFB      near text           fingerprint of the text           address in the cell's own 4 GiB
 *   -4  FFFC      text                address bits 32-47                address
 *   -3  FFFD      object              address bits 32-47                address
 *   -2  FFFE      array               address bits 32-47                address
 *   -1  FFFF      inline text         byte 1 length 0-5, byte 0 unit 4  units 0-3
 *
 * Near text has one byte a unit. Bit 0 of an address is OWNED: the target is a block of its own, which goes when the cell is
 * overwritten. Without it the target is a part of the same document. (Bit 1 is used in private memory only.)
 *
 *   text        +0 length in units, bit 31 set when they have two bytes   +4 units, zero padded to 4
 *   array       +0 length   +4 capacity   +8 cells
 *   object      +0 shape lo   +4 shape hi (no shape: no keys)   +8 a cell for each key of the shape, in its order
 *   dictionary  +0 used   +4 C0000000 + seed << 5 + index bits   +8 capacity   +12 live   +16 entries { key cell, value cell }
 *               then an index of 2^bits × u32 (entry + 1, 0 = free; open addressing by the upper bits of the key's hash under the
 *               seed, 0 for the hash that a near text's cell has 16 bits of; none when bits is 0)
 *   moved       +0 address lo   +4 80000000 + address bits 32-47: an object or array that outgrew its place; the target is a
 *               block of its own that starts with the record
 *   shape       +0 magic   +4 keys   +8 words of the whole   +12 the shape made before it   +16 keys { text }, one after the other
 *
 * A document is a tree, in one block when it is small:
 *
 *   +0  chunk table lo   +4 4A53 << 16 + chunk table bits 32-47   +8 root record | cells | texts | chunk table
 *
 * and has further blocks of { cells | texts }, named by the chunk table { u32 count, u32 0, count × address }, when it is not.
 * Shapes are no part of a document: they belong to the heap and live as long as it.
 */
import { fingerprintOf } from './header.js'

export const INT = -7
export const CONSTANT = -6
export const NEAR_TEXT = -5
export const TEXT = -4
export const OBJECT = -3
export const ARRAY = -2
export const INLINE_TEXT = -1

export const NULL = 1
export const FALSE = 2
export const TRUE = 3

/** Bits of an address. */
export const OWNED = 1
export const RELATIVE = 2
export const INLINE_UNITS = 5

export const MOVED = 0x8000_0000 | 0
export const DICTIONARY = 0xc000_0000 | 0
export const DICTIONARY_WORDS = 4
export const SEED_SHIFT = 5
export const SEED_BITS = 25
export const ENTRY_WORDS = 4
export const RECORD_WORDS = 2
export const DOCUMENT_WORDS = 2
export const DOCUMENT_MAGIC = 0x4a53

export const SHAPE_MAGIC = 0x70616873 // 'shap'
export const SHAPE_WORDS = 4
/** Word of a shape that names the one made before it in its heap. */
export const SHAPE_BEFORE = 3

export const JSON_NUMBERS: readonly number[] = [
  INT, CONSTANT, NEAR_TEXT, TEXT, OBJECT, ARRAY, INLINE_TEXT, NULL, FALSE, TRUE, OWNED, INLINE_UNITS, MOVED, DICTIONARY, DICTIONARY_WORDS,
  ENTRY_WORDS, RECORD_WORDS, DOCUMENT_WORDS, DOCUMENT_MAGIC, SHAPE_MAGIC, SHAPE_WORDS, SHAPE_BEFORE, SEED_SHIFT, SEED_BITS,
]

/** What the description of a type says of this layout. */
export const JSON_FINGERPRINT = fingerprintOf(JSON_NUMBERS)
