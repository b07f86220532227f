import type { AnyType } from './codec.js'
import type { JsonType } from './json/type.js'
import type {
  FixedArrayView, ListView, MapView, ReadonlyMapView, ReadonlySetView, ReadonlySharedView, ReadonlySortedMapView, SequenceView, SetView, SharedView, SortedMapView,
} from './views.js'

export type { AnyType } from './codec.js'

/** Integers that a JavaScript number holds exactly. */
export type SmallIntegerKind = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32'
/** All integers. */
export type IntegerKind = SmallIntegerKind | 'u64' | 'i64' | 'safeU64' | 'safeI64'
/** Values of fixed width that hold no pointer. */
export type ScalarKind = IntegerKind | 'f32' | 'f64' | 'bool'

/** A number, bigint or boolean of fixed width, stored inline. */
export interface ScalarType<Kind extends ScalarKind, Value> extends AnyType {
  readonly kind: Kind
  /** @internal Only for inference: never there at run time. */
  readonly $value?: Value
}

/** A string: up to seven Latin-1 characters inline, otherwise a record of its own. */
export interface TextType extends AnyType {
  readonly kind: 'text'
}

/** A block of bytes. Reading gives a private copy. */
export interface BytesType extends AnyType {
  readonly kind: 'bytes'
}

/** The typed array that holds numbers of each kind. */
export interface NumberArrays {
  u8: Uint8Array
  i8: Int8Array
  u16: Uint16Array
  i16: Int16Array
  u32: Uint32Array
  i32: Int32Array
  u64: BigUint64Array
  i64: BigInt64Array
  f32: Float32Array
  f64: Float64Array
}

/** Numbers side by side. Reading gives a private copy. */
export interface NumbersType<Kind extends keyof NumberArrays> extends AnyType {
  readonly kind: 'numbers'
  readonly element: ScalarType<Kind, unknown>
}

/** The absence of a value: the argument or result of a method that has none. */
export interface NothingType extends AnyType {
  readonly kind: 'nothing'
}

/** A struct: named fields at fixed offsets. As the type of a field it is stored inline in its holder. */
export interface StructType<Fields extends object = object> extends AnyType {
  readonly kind: 'struct'
  readonly name: string
  readonly fields: Fields
}

/** A pointer to a struct, or null. It does not own what it points to. */
export interface RefType<Target> extends AnyType {
  readonly kind: 'ref'
  readonly target: Target
}

/** A growable sequence, owned by its holder. */
export interface ListType<Element> extends AnyType {
  readonly kind: 'list'
  readonly element: Element
}

/** A fixed number of elements, stored inline in their holder. */
export interface FixedArrayType<Element> extends AnyType {
  readonly kind: 'array'
  readonly element: Element
  readonly length: number
}

/** A value that may be absent. */
export interface OptionalType<Value> extends AnyType {
  readonly kind: 'optional'
  readonly value: Value
}

/** A hash map in insertion order, owned by its holder. */
export interface MapType<Key, Value> extends AnyType {
  readonly kind: 'map'
  readonly key: Key
  readonly value: Value
}

/** A hash set in insertion order, owned by its holder. */
export interface SetType<Key> extends AnyType {
  readonly kind: 'set'
  readonly key: Key
}

/** A map in the order of its keys, owned by its holder. */
export interface SortedMapType<Key, Value> extends AnyType {
  readonly kind: 'sortedMap'
  readonly key: Key
  readonly value: Value
}

/** A value that several processes change at once. */
export interface SharedType<Value> extends AnyType {
  readonly kind: 'shared'
  readonly value: Value
}

/** One of several alternatives, told apart by `kind`. */
export interface UnionType<Variants extends object> extends AnyType {
  readonly kind: 'union'
  readonly variants: Variants
}

/** What may be the key of a map: text or a scalar. */
export type KeyType = TextType | ScalarType<SmallIntegerKind | 'safeU64' | 'safeI64' | 'f32' | 'f64', number> | ScalarType<'u64' | 'i64', bigint> | ScalarType<'bool', boolean>

/** What may be the key of a sorted map, or a part of one: text or a scalar. */
export type SortedKeyType = TextType | ScalarType<ScalarKind, unknown>

/** Keys of a sorted map: a value, or a tuple of them. */
type KeyOf<K> = K extends readonly unknown[] ? { readonly [I in keyof K]: View<K[I]> } : View<K>

/**
 * What reading a value of the type gives: for a struct an object whose fields read and write shared memory.
 *
 *     const Post = struct('Post', { id: u64, author: text })
 *     type Post = View<typeof Post>      // { id: bigint, author: string }
 */
export type View<T> =
  T extends StructType<infer F> ? { -readonly [K in keyof F]: View<F[K]> } :
  T extends ScalarType<ScalarKind, infer V> ? V :
  T extends TextType ? string :
  T extends BytesType ? Uint8Array :
  T extends NumbersType<infer K> ? NumberArrays[K] :
  T extends NothingType ? undefined :
  T extends RefType<infer S> ? View<S> | null :
  T extends ListType<infer E> ? ListView<View<E>, Plain<E>> :
  T extends FixedArrayType<infer E> ? FixedArrayView<View<E>, Plain<E>> :
  T extends OptionalType<infer V> ? View<V> | undefined :
  T extends MapType<infer K, infer V> ? MapView<View<K>, View<V>, Plain<V>> :
  T extends SetType<infer K> ? SetView<View<K>> :
  T extends SharedType<infer V> ? SharedView<View<V>, ReadonlyView<V>, Plain<V>> :
  T extends SortedMapType<infer K, infer V> ? SortedMapView<KeyOf<K>, View<V>, Plain<V>> :
  T extends UnionType<infer A> ? { [K in keyof A]: { readonly kind: K, readonly value: View<A[K]> } }[keyof A] | Unset :
  T extends JsonType<infer V> ? V :
  never

/**
 * What {@link View} is inside of `read` of something shared: the same without all that writes. Every `View` is one, so that a
 * function that takes this one can be called with both.
 */
export type ReadonlyView<T> =
  T extends StructType<infer F> ? { readonly [K in keyof F]: ReadonlyView<F[K]> } :
  T extends RefType<infer S> ? ReadonlyView<S> | null :
  T extends ListType<infer E> | FixedArrayType<infer E> ? SequenceView<ReadonlyView<E>> :
  T extends OptionalType<infer V> ? ReadonlyView<V> | undefined :
  T extends MapType<infer K, infer V> ? ReadonlyMapView<View<K>, ReadonlyView<V>> :
  T extends SetType<infer K> ? ReadonlySetView<View<K>> :
  T extends SharedType<infer V> ? ReadonlySharedView<ReadonlyView<V>> :
  T extends SortedMapType<infer K, infer V> ? ReadonlySortedMapView<KeyOf<K>, ReadonlyView<V>> :
  T extends UnionType<infer A> ? { [K in keyof A]: { readonly kind: K, readonly value: ReadonlyView<A[K]> } }[keyof A] | Unset :
  T extends JsonType<infer V> ? DeepReadonly<V> :
  View<T>

/** A JSON value of which nothing is written. */
export type DeepReadonly<V> = V extends object ? { readonly [K in keyof V]: DeepReadonly<V[K]> } : V

/** How a union reads that was never given a value, such as a field that an older peer does not know. */
export interface Unset {
  readonly kind: 'none'
  readonly value: undefined
}

type FieldsThatMayBeLeftOut<F> = {
  [K in keyof F]: F[K] extends { readonly kind: 'ref' | 'list' | 'optional' | 'map' | 'set' | 'sortedMap' | 'union' | 'json' | 'nothing' } ? K : never
}[keyof F]

type Flat<T> = { [K in keyof T]: T[K] }

/**
 * What may be stored where the type is expected: a plain value of the same shape, or a view. Fields that have an empty
 * state (ref, optional, list, map, union) may be left out.
 */
export type Plain<T> =
  T extends StructType<infer F> ? Flat<
    { readonly [K in Exclude<keyof F, FieldsThatMayBeLeftOut<F>>]: Plain<F[K]> } &
    { readonly [K in FieldsThatMayBeLeftOut<F>]?: Plain<F[K]> | undefined }> :
  T extends ScalarType<ScalarKind, infer V> ? V :
  T extends TextType ? string :
  T extends BytesType ? Uint8Array :
  T extends NumbersType<infer K> ? NumberArrays[K] | Iterable<NumberArrays[K][number]> :
  T extends NothingType ? undefined :
  T extends RefType<infer S> ? Plain<S> | null :
  T extends ListType<infer E> ? Iterable<Plain<E>> :
  T extends FixedArrayType<infer E> ? Iterable<Plain<E>> :
  T extends OptionalType<infer V> ? Plain<V> | undefined :
  T extends MapType<infer K, infer V> ? Iterable<readonly [Plain<K>, Plain<V>]> :
  T extends SetType<infer K> ? Iterable<Plain<K>> :
  T extends SharedType<infer V> ? Plain<V> | ReadonlySharedView<ReadonlyView<V>> :
  T extends SortedMapType<infer K, infer V> ? Iterable<readonly [KeyOf<K>, Plain<V>]> :
  T extends UnionType<infer A> ? { [K in keyof A]: A[K] extends NothingType ? { readonly kind: K, readonly value?: undefined } : { readonly kind: K, readonly value: Plain<A[K]> } }[keyof A] | Unset :
  T extends JsonType<infer V> ? V | DeepReadonly<V> | undefined :
  never

/** What {@link plain} makes of a view: ordinary objects, arrays and maps that hold no shared memory. */
export type Snapshot<V> =
  V extends SequenceView<infer E> ? Array<Snapshot<E>> :
  V extends ReadonlySharedView<infer L> ? Snapshot<L> :
  V extends ReadonlySortedMapView<infer K, infer E> ? Map<K, Snapshot<E>> :
  V extends ReadonlyMapView<infer K, infer E> ? Map<K, Snapshot<E>> :
  V extends ReadonlySetView<infer K> ? Set<K> :
  V extends NumberArrays[keyof NumberArrays] ? V :
  V extends object ? { -readonly [K in keyof V]: Snapshot<V[K]> } :
  V
