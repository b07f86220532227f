// Every way to write through a view, for tests that none of them gets through where it must not.
import {
  array, assign, bool, bytes, f64, i64, json, list, map, numbers, optional, type Plain, ref, safeU64, set, sortedMap, struct, text, u32, u8, union, type View,
} from '../../src/objects/index.js'

export const Inner = struct('WrittenInner', { n: u32 })
/** A struct with a field of every kind. */
export const All = struct('WrittenAll', {
  small: u8, number: f64, big: i64, safe: safeU64, on: bool, name: text, data: bytes, samples: numbers(f64), inner: Inner, other: ref(Inner), words: list(text), pair: array(u32, 2),
  counts: map(text, u32), tags: set(text), sorted: sortedMap(u32, text), maybe: optional(u32), either: union({ a: u32, b: text }), doc: json.of<Tree>(), quick: json.fast,
})
interface Tree {
  [name: string]: unknown
  list: unknown[]
}
export type All = View<typeof All>

const DOCUMENT = { n: 1, name: 'a text that takes a record', list: [3, 'one', 2] }

/** A value for every field of it. */
export const everyField: Plain<typeof All> = {
  small: 1, number: 1.5, big: 1n, safe: 1, on: true, name: 'a name that takes memory', data: new Uint8Array(40).fill(7), samples: [1, 2, 3], inner: { n: 1 }, other: { n: 2 },
  words: ['one word of three', 'another', 'third'], pair: [1, 2], counts: [['a', 1], ['b', 2]], tags: ['x', 'y'], sorted: [[1, 'one'], [2, 'two']], maybe: 3,
  either: { kind: 'a', value: 1 }, doc: DOCUMENT, quick: DOCUMENT,
}

interface Quick {
  [name: string]: unknown
  list: { set(index: number, value: unknown): void }
}

/** A write of each kind through each kind of view. */
export const writes: Readonly<Record<string, (view: All) => unknown>> = {
  'a small integer': (view) => { view.small = 2 },
  'a float': (view) => { view.number = 2 },
  'a big integer': (view) => { view.big = 2n },
  'a safe integer': (view) => { view.safe = 2 },
  'a boolean': (view) => { view.on = false },
  'a text': (view) => { view.name = 'another name, and longer than the first' },
  'bytes': (view) => { view.data = new Uint8Array(3) },
  'numbers': (view) => { view.samples = new Float64Array(3) },
  'a struct by value': (view) => assign(view, { inner: { n: 5 } }),
  'a field of a struct by value': (view) => { view.inner.n = 5 },
  'a ref': (view) => { view.other = null },
  'a field behind a ref': (view) => { view.other!.n = 5 },
  'a list': (view) => assign(view, { words: [] }),
  'list: an element': (view) => { view.words[0] = 'else' },
  'list: push': (view) => view.words.push('more'),
  'list: pop': (view) => view.words.pop(),
  'list: shift': (view) => view.words.shift(),
  'list: unshift': (view) => view.words.unshift('more'),
  'list: splice': (view) => view.words.splice(0, 1),
  'list: sort': (view) => view.words.sort(),
  'list: reverse': (view) => { view.words.reverse() },
  'list: fill': (view) => view.words.fill('full'),
  'list: copyWithin': (view) => view.words.copyWithin(0, 1),
  'list: length': (view) => { view.words.length = 1 },
  'array: an element': (view) => { view.pair[0] = 9 },
  'array: reverse': (view) => { view.pair.reverse() },
  'array: sort': (view) => view.pair.sort((a, b) => b - a),
  'array: fill': (view) => view.pair.fill(7),
  'array: copyWithin': (view) => view.pair.copyWithin(0, 1),
  'map: another value': (view) => view.counts.set('a', 9),
  'map: another key': (view) => view.counts.set('c', 9),
  'map: getOrInsert': (view) => view.counts.getOrInsert('c', 9),
  'map: delete': (view) => view.counts.delete('a'),
  'map: clear': (view) => view.counts.clear(),
  'set: add': (view) => view.tags.add('z'),
  'set: delete': (view) => view.tags.delete('x'),
  'set: clear': (view) => view.tags.clear(),
  'sorted map: another value': (view) => view.sorted.set(1, 'else'),
  'sorted map: another key': (view) => view.sorted.set(9, 'nine'),
  'sorted map: delete': (view) => view.sorted.delete(1),
  'sorted map: clear': (view) => view.sorted.clear(),
  'an optional': (view) => { view.maybe = 4 },
  'an optional that becomes empty': (view) => { view.maybe = undefined },
  'a union': (view) => assign(view, { either: { kind: 'b', value: 'text' } }),
  'json: the document': (view) => assign(view, { doc: { list: [] } }),
  'json: a value': (view) => { view.doc['n'] = 2 },
  'json: a new key': (view) => { view.doc['fresh'] = 'a text that takes a record, too' },
  'json: delete': (view) => delete view.doc['n'],
  'json: an element': (view) => { view.doc.list[0] = 9 },
  'json: push': (view) => view.doc.list.push(9),
  'json: sort': (view) => view.doc.list.sort((a, b) => String(a).localeCompare(String(b))),
  'json: length': (view) => { view.doc.list.length = 1 },
  'fast: a value': (view) => { (view.quick as unknown as Quick)['n'] = 2 },
  'fast: an element': (view) => (view.quick as unknown as Quick).list.set(0, 9),
}
