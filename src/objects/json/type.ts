import { assert } from '../../base/assert.js'
import { CODEC, type AnyType, type Codec } from '../codec.js'

/** A value that JSON has: what a view of json reads as, and what may be stored there. */
export type JsonValue = null | boolean | number | string | JsonArray | JsonObject
/** An array in a {@link JsonValue}. */
export interface JsonArray extends Array<JsonValue> {}
/** An object in a {@link JsonValue}. */
export interface JsonObject {
  [key: string]: JsonValue
}

/** Any JSON value, as a tree in shared memory; `Value` is what the program knows about it. */
export interface JsonType<Value = JsonValue> extends AnyType {
  readonly kind: 'json'
  /** @internal Only for inference: never there at run time. */
  readonly $json?: Value
  /** The same type in memory, read through views for hot loops: see {@link fast}. */
  readonly fast: JsonType<Value>
  /** The same type, whose values the program knows more about: `json.of<Order>()`. Nothing checks that. */
  of<Known>(): JsonType<Known>
}

const codecs: { plain: Codec | null, fast: Codec | null } = { plain: null, fast: null }

/** Any JSON value: object, array, text, number, boolean or null, built by {@link ObjectHeap.json} or from a plain value. */
export const json: JsonType = {
  kind: 'json',
  label: 'json',
  get fast() {
    return fastJson
  },
  of: <Known>() => json as JsonType<unknown> as JsonType<Known>,
  [CODEC]: () => required(codecs.plain),
}

const fastJson: JsonType = {
  kind: 'json',
  label: 'json.fast',
  get fast() {
    return fastJson
  },
  of: <Known>() => fastJson as JsonType<unknown> as JsonType<Known>,
  [CODEC]: () => required(codecs.fast),
}

/** Tells how the two types lie in memory; views and codecs know each other only through the types. */
export function provideCodecs(plain: Codec, fast: Codec): void {
  codecs.plain = plain
  codecs.fast = fast
}

function required(codec: Codec | null): Codec {
  assert(codec !== null, 'the codec of json is provided by its module')
  return codec
}
