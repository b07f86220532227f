import type { Steps } from './iteration.js'

/**
 * Reading common to lists and fixed arrays. It follows Array's protocol; `sequence[i]` works and is slower than `at(i)`.
 *
 * Each element is read when its turn comes, as Array does: what a callback adds is not visited (by an iterator it is), nor is what it removes. Elements
 * held by value (structs, lists …) are read as views into the list's own memory, valid until the list grows.
 */
export interface SequenceView<V> extends Iterable<V> {
  readonly length: number
  readonly [index: number]: V
  /** The element at an index, counted from the end when negative; undefined beyond the ends. */
  at(index: number): V | undefined
  values(): Steps<V>
  keys(): Steps<number>
  entries(): Steps<[number, V]>
  forEach(visit: (value: V, index: number, sequence: this) => void): void
  map<R>(convert: (value: V, index: number, sequence: this) => R): R[]
  filter(accept: (value: V, index: number, sequence: this) => boolean): V[]
  find(accept: (value: V, index: number, sequence: this) => boolean): V | undefined
  findIndex(accept: (value: V, index: number, sequence: this) => boolean): number
  findLast(accept: (value: V, index: number, sequence: this) => boolean): V | undefined
  findLastIndex(accept: (value: V, index: number, sequence: this) => boolean): number
  /** The elements, and those of lists, fixed arrays and arrays among them, `depth` levels deep (1). */
  flat(depth?: number): unknown[]
  flatMap<R>(convert: (value: V, index: number, sequence: this) => R | readonly R[]): R[]
  some(accept: (value: V, index: number, sequence: this) => boolean): boolean
  every(accept: (value: V, index: number, sequence: this) => boolean): boolean
  reduce<R>(combine: (sum: R, value: V, index: number, sequence: this) => R, initial: R): R
  reduce(combine: (sum: V, value: V, index: number, sequence: this) => V): V
  reduceRight<R>(combine: (sum: R, value: V, index: number, sequence: this) => R, initial: R): R
  reduceRight(combine: (sum: V, value: V, index: number, sequence: this) => V): V
  slice(start?: number, end?: number): V[]
  /** An array of the elements, then of the values; of those that are arrays, lists or fixed arrays their elements. */
  concat<T = V>(...others: ReadonlyArray<T | readonly T[] | SequenceView<T>>): Array<V | T>
  /** An array of the elements, one of them another. @throws RpcError OUT_OF_RANGE where there is no such element */
  with<T = V>(index: number, value: T): Array<V | T>
  /** An array of the elements in the opposite order. */
  toReversed(): V[]
  /** An array of the elements, sorted. */
  toSorted(compare?: (a: V, b: V) => number): V[]
  /** An array of the elements, `count` of them from `start` replaced by others. */
  toSpliced<T = V>(start: number, count?: number, ...values: readonly T[]): Array<V | T>
  join(separator?: string): string
  /** Views are compared by the address they stand for. */
  indexOf(value: V, start?: number): number
  /** Views are compared by the address they stand for. */
  lastIndexOf(value: V, start?: number): number
  /** Views are compared by the address they stand for. */
  includes(value: V, start?: number): boolean
  toArray(): V[]
  /** What JSON.stringify prints: see {@link toJSON}. */
  toJSON(): unknown
}

/** A fixed number of elements inside their holder. */
export interface FixedArrayView<V, P = V> extends SequenceView<V> {
  [index: number]: V
  /** Stores a value at an existing index; what the element owned before is freed. */
  set(index: number, value: P): void
  /** Turns the order round, in place. */
  reverse(): this
  /** Sorts in place, stably; by the elements as texts unless told otherwise, as Array does. */
  sort(compare?: (a: V, b: V) => number): this
  /** Stores a value in each element from `start` to before `end`, each of which owns what is made of it. One after the other: see {@link set}. */
  fill(value: P, start?: number, end?: number): this
  /** Stores copies of the elements from `start` to before `end` at `target` and behind it, as {@link fill} does. */
  copyWithin(target: number, start?: number, end?: number): this
}

/** A list inside its holder. It owns its elements: removing or replacing one frees what it owned (never a ref's target). */
export interface ListView<V, P = V> extends FixedArrayView<V, P> {
  /** Assigned, it takes out what lies beyond and frees what that owned. @throws RpcError OUT_OF_RANGE when it were to grow */
  length: number
  /** Appends values and returns the new length. */
  push(...values: readonly P[]): number
  /** Removes the last element and returns it, as a snapshot where the list held it by value. */
  pop(): V | undefined
  /** Removes the first element and returns it, as {@link pop} does. Every further element moves. */
  shift(): V | undefined
  /** Puts values before all others and returns the new length. */
  unshift(...values: readonly P[]): number
  /** Removes `count` elements from `start` and puts others in their place. What it takes out comes as {@link pop} gives it. */
  splice(start: number, count?: number, ...values: readonly P[]): V[]
  /** Removes all elements and gives their memory back. */
  clear(): void
}

/** A map as {@link SharedView.read} shows it: nothing that writes. */
export interface ReadonlyMapView<K, V> extends Iterable<[K, V]> {
  readonly size: number
  get(key: K): V | undefined
  has(key: K): boolean
  keys(): Steps<K>
  values(): Steps<V>
  entries(): Steps<[K, V]>
  forEach(visit: (value: V, key: K, map: this) => void): void
  /** What JSON.stringify prints: see {@link toJSON}. */
  toJSON(): unknown
}

/**
 * A hash map inside its holder, with Map's protocol. It owns its keys and values (never a ref's target).
 *
 * Iteration follows Map's rules: in order of insertion; an entry added meanwhile is visited, a removed one is not, one
 * removed and set again comes again. Values held by value (structs, lists …) are views into the map's own memory,
 * valid until an entry is removed.
 */
export interface MapView<K, V, P = V> extends ReadonlyMapView<K, V> {
  /** Stores a value; what the entry's old value owned is freed. */
  set(key: K, value: P): this
  /** Removes an entry and frees what it owned; tells whether it was there. */
  delete(key: K): boolean
  /** Removes all entries and gives their memory back. */
  clear(): void
  /** The key's value; where there is none this one, which is then stored. */
  getOrInsert(key: K, value: P): V
  /** The key's value; where there is none what the function makes of the key, which is then stored. */
  getOrInsertComputed(key: K, make: (key: K) => P): V
}

/** What a set is compared with: a Set, a Map (its keys), or a view of one. */
export interface SetLike<K> {
  readonly size: number
  has(key: K): boolean
  keys(): Iterator<K>
}

/** A set as {@link SharedView.read} shows it: nothing that writes. */
export interface ReadonlySetView<K> extends Iterable<K> {
  readonly size: number
  has(key: K): boolean
  keys(): Steps<K>
  values(): Steps<K>
  entries(): Steps<[K, K]>
  forEach(visit: (key: K, again: K, set: this) => void): void
  union<L>(other: SetLike<L>): Set<K | L>
  intersection<L>(other: SetLike<L>): Set<K & L>
  difference(other: SetLike<unknown>): Set<K>
  symmetricDifference<L>(other: SetLike<L>): Set<K | L>
  isSubsetOf(other: SetLike<unknown>): boolean
  isSupersetOf(other: SetLike<unknown>): boolean
  isDisjointFrom(other: SetLike<unknown>): boolean
  /** What JSON.stringify prints: see {@link toJSON}. */
  toJSON(): unknown
}

/**
 * A hash set inside its holder, with Set's protocol, and iterated by the rules of {@link MapView}. What its comparisons make is an ordinary Set; they look
 * up the other's keys here, where those must be of this set's type.
 */
export interface SetView<K> extends ReadonlySetView<K> {
  add(key: K): this
  /** Removes a key and tells whether it was there. */
  delete(key: K): boolean
  /** Removes all keys. */
  clear(): void
}

/**
 * A part of a sorted map: from one key to another, or all keys that start with a text. A bound of a map with tuples as keys
 * may be a tuple of the leading parts, and then stands for every key that begins so.
 */
export interface Range<K> {
  /** The first key, if it is there. */
  readonly from?: Leading<K> | undefined
  /** The key behind which the range begins. */
  readonly after?: Leading<K> | undefined
  /** The last key, if it is there. */
  readonly to?: Leading<K> | undefined
  /** The key before which the range ends. */
  readonly before?: Leading<K> | undefined
  /** Keys that start with this text; of tuples, those that begin with these parts, the last of which, when it is a text, may be the start of one. */
  readonly prefix?: Prefix<K> | undefined
  /** From the greatest key to the least. */
  readonly reverse?: boolean | undefined
}

/** Numbers start with nothing. */
type Prefix<K> = K extends readonly unknown[] ? Leading<K> : K extends string ? K : never

/** A key, or leading parts of one. */
type Leading<K> = K extends readonly [...infer First, unknown] ? K | (First extends readonly [] ? K : Leading<Readonly<First>>) : K

/** A sorted map as {@link SharedView.read} shows it: nothing that writes. */
export interface ReadonlySortedMapView<K, V> extends Iterable<[K, V]> {
  readonly size: number
  get(key: K): V | undefined
  has(key: K): boolean
  /** The least key of a range with its value. */
  first(range?: Range<K>): [K, V] | undefined
  /** The greatest key of a range with its value. */
  last(range?: Range<K>): [K, V] | undefined
  /** How many entries a range has: counted one by one, without decoding any. */
  count(range?: Range<K>): number
  keys(range?: Range<K>): Steps<K>
  values(range?: Range<K>): Steps<V>
  entries(range?: Range<K>): Steps<[K, V]>
  forEach(visit: (value: V, key: K, map: this) => void): void
  /** What JSON.stringify prints: see {@link toJSON}. */
  toJSON(): unknown
}

/**
 * A sorted map inside its holder. It owns its keys and values (never a ref's target). Values that are views stay valid until
 * their entry is removed or set again.
 *
 * A walk goes on behind the key it gave last, whatever was changed meanwhile: an entry added ahead of it is visited, a removed
 * one is not.
 */
export interface SortedMapView<K, V, P = V> extends ReadonlySortedMapView<K, V> {
  /** Stores a value; what the entry's old value owned is freed. */
  set(key: K, value: P): this
  /** Removes an entry and frees what it owned; tells whether it was there. */
  delete(key: K): boolean
  /** Removes all entries and gives their memory back. */
  clear(): void
  /** The key's value; where there is none this one, which is then stored. */
  getOrInsert(key: K, value: P): V
  /** The key's value; where there is none what the function makes of the key, which is then stored. */
  getOrInsertComputed(key: K, make: (key: K) => P): V
}

/** How long to wait for others. */
export interface WaitOptions {
  /** Until DEADLINE_EXCEEDED; 5000 unless told otherwise. */
  readonly timeoutMs?: number | undefined
}

/** Something shared inside of a read of what holds it. */
export interface ReadonlySharedView<L> {
  /**
   * Looks at the value, of which nothing can be written meanwhile. The function may run several times, because a writer came in
   * between, and its result counts only when none did: so it should do nothing but look, and give back values of its own. Every view
   * that it was given or reached is dead when it has ended, and so is one that it gives back: what is to be kept is `plain(view)`, or,
   * of an object behind a ref, which does not lie in the value, its address. It cannot be async.
   * @throws RpcError FAILED_PRECONDITION for a write, or a view used later; INVALID_ARGUMENT when the function gives back a promise.
   */
  read<R>(work: (value: L) => NoPromise<R>, options?: WaitOptions): R
  /** What JSON.stringify prints: see {@link toJSON}. */
  toJSON(): unknown
}

/**
 * A value that any number of processes read and change at once. The functions given to it run at once, on this thread; while
 * they wait for another process they spin shortly, then yield, then sleep up to a millisecond at a time.
 */
export interface SharedView<V, L = V, P = V> extends ReadonlySharedView<L> {
  /**
   * Changes the value, alone. All that the function does to it, and to what it owns, happens as a whole or, when it throws or its
   * process dies, not at all. One write at a time: what changes together belongs into one shared struct. Views end as those of
   * {@link read} do.
   * @throws RpcError INVALID_ARGUMENT when the function gives back a promise: then nothing has happened.
   */
  write<R>(work: (value: V) => NoPromise<R>, options?: WaitOptions): R
  /** @internal Only for inference. */
  readonly $plain?: P
}

/** What a function may give back that is not async. */
export type NoPromise<R> = R extends PromiseLike<unknown> ? 'what is given to read or write must not be async' : R
