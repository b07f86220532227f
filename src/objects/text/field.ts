import { RpcError } from '../../base/errors.js'
import type { Region } from '../../memory/region.js'
import { codecOf } from '../codec.js'
import { mismatch } from '../problems.js'
import { sizeOfView, StructCodec } from '../struct/struct.js'
import { comparePrefix, compareUnits, hashUnits, Units } from './compare.js'
import type { ReadonlyView, StructType, TextType } from '../types.js'
import { asView, REGION, TYPE, WORD } from '../view.js'

/** Fields of a struct that hold a text. */
export type TextFieldName<Fields> = { [K in keyof Fields]: Fields[K] extends TextType ? K : never }[keyof Fields] & string

/**
 * Tests of one text field that look at the units where they lie and make no strings: made once, run over many objects.
 *
 *     const author = textField(Post, 'author')
 *     const isAda = author.is('ada')
 *     for (const post of posts) if (isAda(post)) …
 */
export interface TextField<Target> {
  /** A test whether the text is the given one. */
  is(text: string): (view: Target) => boolean
  /** A test whether the text starts with the given one. */
  startsWith(text: string): (view: Target) => boolean
  /** Below, equal to or above zero as the text is before, the same as or after the given one: the order of JavaScript's `<`. */
  comparedTo(text: string): (view: Target) => number
  /** The same between the texts of two objects: `posts.toArray().sort(author.compare)`. */
  readonly compare: (a: Target, b: Target) => number
  /** A number from 0 to 2^32 - 1 that is the same for equal texts, in every process. */
  readonly hash: (view: Target) => number
}

const left = new Units()
const right = new Units()

/**
 * The tests of a struct's text field.
 * @throws RpcError INVALID_ARGUMENT when the struct has no such field of type text.
 */
export function textField<const Fields extends object>(type: StructType<Fields>, field: TextFieldName<Fields>): TextField<ReadonlyView<StructType<Fields>>> {
  const codec = codecOf(type)
  const place = codec instanceof StructCodec ? codec.layout.byName.get(field) : undefined
  if (place === undefined || place.type.kind !== 'text') throw new RpcError('INVALID_ARGUMENT', `${type.label}.${field} is not a text field`)
  const offset = place.offset / 4
  const { endWords } = place

  /** Word of the field's cell; the object of an older version, which lacks it, has -1. */
  const cellOf = (view: unknown): { readonly region: Region, readonly word: number } => {
    const located = asView(view)
    if (located === undefined || located[TYPE] !== type) mismatch(`${type.label}.${field}`, `a view of ${type.label}`, view)
    const word = sizeOfView(located, codec as StructCodec) < endWords ? -1 : located[WORD] + offset
    return { region: located[REGION], word }
  }
  const open = (units: Units, view: unknown): Units => {
    const { region, word } = cellOf(view)
    if (word < 0) units.set('')
    else units.open(region, region.i32[word]! | 0, region.i32[word + 1]! | 0)
    return units
  }
  const constant = (text: string): Units => {
    if (typeof text !== 'string') mismatch(`${type.label}.${field}`, 'a string', text)
    const units = new Units()
    units.set(text)
    return units
  }
  return {
    is(text) {
      const wanted = constant(text)
      return (view) => {
        const { region, word } = cellOf(view)
        return word < 0 ? wanted.length === 0 : wanted.equalsCell(region, region.i32[word]! | 0, region.i32[word + 1]! | 0)
      }
    },
    startsWith(text) {
      const wanted = constant(text)
      return (view) => comparePrefix(open(left, view), wanted) === 0
    },
    comparedTo(text) {
      const wanted = constant(text)
      return (view) => compareUnits(open(left, view), wanted)
    },
    compare: (a, b) => compareUnits(open(left, a), open(right, b)),
    hash: (view) => hashUnits(open(left, view), 0) >>> 0,
  }
}
