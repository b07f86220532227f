// Writes to every kind of container in `shared`, each of which can be done again on what it has left.
import { array, bytes, f64, json, list, map, numbers, optional, ref, set, sortedMap, struct, text, u16, u32, u8, union } from '../../src/objects/index.js'
import { scenario, type Scenario } from './shared-deaths.js'

const Part = struct('DeathPart', { id: u32, name: text })
const Fields = struct('DeathFields', {
  small: u8, half: u16, number: f64, name: text, wide: text, raw: bytes, values: numbers(f64), note: optional(text), any: union({ text, part: Part, items: list(text) }),
  part: Part, grid: array(text, 3), shorts: array(u8, 7), link: ref(Part),
})
const Several = struct('DeathSeveral', { counts: map(text, u32), order: sortedMap(text, Part), log: list(text), document: json, total: u32 })

const many = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
const key = (i: number): string => `key number ${i}, with memory`
const part = (i: number): { id: number, name: string } => ({ id: i, name: `the name of part ${i}` })
const texts = (count: number): string[] => many(count).map((i) => `text number ${i}, with memory`)
const words = (count: number): Array<[string, number]> => many(count).map((i) => [key(i), i])
const parts = (count: number): Array<[string, ReturnType<typeof part>]> => many(count).map((i) => [key(i), part(i)])
/** So long that few entries fill a node. */
const Wide = [u32, u16, u16, u8, text] as const
const wideKey = (i: number): [number, number, number, number, string] => [i, 1, 2, 3, key(i)]
const wide = <V>(count: number, value: (i: number) => V): Array<[ReturnType<typeof wideKey>, V]> => many(count).map((i) => [wideKey(i * 2), value(i)])
const fields = {
  small: 1, half: 2, number: 0.5, name: 'a name with memory', wide: 'κλειδί και άλλα', raw: new Uint8Array(30).fill(7), values: [1, 2, 3], note: 'a note with memory',
  any: { kind: 'part' as const, value: part(1) }, part: part(2), grid: texts(3), shorts: many(7), link: part(6),
}
const document = { total: 1, name: 'a document with memory', counts: Object.fromEntries(words(12)), last: texts(5), deep: { a: [{ b: 'a text with memory' }] } }
type Document = { total: number, counts: Record<string, number>, last: unknown[], deep: Record<string, unknown>, extra?: unknown, name?: string }

export const SCENARIOS: readonly Scenario[] = [
  scenario('map: set of a new key', map(text, u32), words(5), (values) => values.set('a new key, with memory', 1)),
  scenario('map: set of a known key', map(text, Part), parts(5), (values) => values.set(key(3), part(33))),
  scenario('map: delete', map(text, Part), parts(9), (values) => values.delete(key(4))),
  scenario('map: growth', map(text, u32), words(30), (values) => {
    for (let i = 0; i < 60; i++) values.set(`new ${key(i)}`, i)
  }),
  scenario('map: growth of the index, by numbers', map(u32, u32), many(180).map((i) => [i, i] as const), (values) => {
    for (let i = 1000; i < 1100; i++) values.set(i, i)
  }),
  scenario('map: growth of the index by splitting it, twice', map(u32, u32), many(150).map((i) => [i, i] as const), (values) => {
    for (let i = 1000; i < 1500; i++) values.set(i, i)
  }, 'usual', 1 << 21),
  scenario('map of numbers: whole chunks taken out, others thinned, new ones put in', map(u32, u32), many(300).map((i) => [i, i] as const), (values) => {
    const keys = [...values.keys()]
    for (const one of keys.slice(0, 100)) values.delete(one)
    for (const [i, one] of keys.slice(100, 150).entries()) if (i % 5 !== 0) values.delete(one)
    for (let i = 0; i < 60; i++) values.set(keys.at(-1)! + i + 1, i)
  }, 'again', 1 << 21),
  scenario('map of texts: whole chunks taken out, others thinned', map(text, Part), parts(120), (values) => {
    const keys = [...values.keys()]
    for (const one of keys.slice(0, 40)) values.delete(one)
    for (const [i, one] of keys.slice(40, 60).entries()) if (i % 5 !== 0) values.delete(one)
    for (let i = 0; i < 50; i++) values.set(`${keys.at(-1)!} and ${i}`, part(i))
  }, 'usual', 1 << 20),
  scenario('map: set of a new key where there is room', map(text, u32), words(3), (values) => values.set(`one more, number ${values.size}`, 1), 'again'),
  scenario('map: delete of one of many', map(u32, text), many(100).map((i) => [i, key(i)] as const), (values) => values.delete([...values.keys()][7]!), 'again'),
  scenario('map: delete of the last', map(text, Part), parts(1), (values) => values.delete(key(0))),
  scenario('map: the first key of all', map(text, Part), [], (values) => values.set(key(0), part(0))),
  scenario('map: clear', map(text, Part), parts(20), (values) => {
    values.clear()
    values.set('the only one', part(1))
  }),
  scenario('map of lists', map(text, list(text)), many(4).map((i) => [key(i), texts(3)] as const), (values) => values.get(key(1))!.push('a further text, with memory')),
  scenario('set: add and delete', set(text), texts(8), (values) => {
    values.add('one more, with memory')
    values.delete(texts(8)[2]!)
  }),
  scenario('set of numbers', set(u32), many(20), (values) => {
    for (let i = 50; i < 70; i++) values.add(i)
    values.delete(3)
  }),
  scenario('list: push that grows', list(text), texts(7), (values) => values.push(...texts(6))),
  scenario('list: push where there is room', list(text), texts(5), (values) => values.push(`number ${values.length}, with memory`), 'again'),
  scenario('list: pop', list(text), texts(5), (values) => values.pop()),
  scenario('list: push and pop', list(u32), many(40), (values) => {
    values.push(1, 2, 3)
    values.pop()
  }),
  scenario('list: splice', list(text), texts(9), (values) => values.splice(2, 3, 'one in place of three, with memory')),
  scenario('list: splice that grows', list(Part), many(5).map(part), (values) => values.splice(1, 1, ...many(8).map((i) => part(i + 50)))),
  scenario('list: sort and reverse', list(text), texts(6).toReversed(), (values) => {
    values.splice(0, values.length, ...[...values].sort(), 'last of all, with memory')
  }),
  scenario('list: turned round, and sorted, where it lies', list(text), texts(6), (values) => {
    values.reverse()
    values.sort((a, b) => a.length - b.length || (a < b ? 1 : -1))
    values[0] = 'another first one, with memory'
  }),
  scenario('list: filled and copied within itself', list(u32), many(9), (values) => {
    values.fill(7, 1, 4)
    values.copyWithin(5, 0, 3)
  }),
  scenario('list of numbers: an element', list(u32), many(9), (values) => values.set(3, 333)),
  scenario('array of texts: turned round and filled', array(text, 4), texts(4), (values) => {
    values.reverse()
    values.fill('full, with memory', 2)
  }),
  scenario('list: set of an element', list(text), texts(5), (values) => values.set(3, 'another text, with memory')),
  scenario('list: fields of elements', list(Part), many(6).map(part), (values) => {
    for (const one of values) one.name = `another name, with memory, of ${one.id}`
  }),
  scenario('list: clear', list(text), texts(8), (values) => values.clear()),
  scenario('sorted map: one more where there is room', sortedMap(text, Part), parts(9), (values) => values.set(`${key(4)} and more: ${values.size}`, part(1)), 'again'),
  scenario('sorted map: one less', sortedMap(text, Part), parts(9), (values) => values.delete([...values.keys()][3]!)),
  scenario('sorted map: insertion that splits', sortedMap(Wide, Part), wide(40, part), (values) => {
    for (let i = 0; i < 20; i++) values.set(wideKey(i * 2 + 1), part(i))
  }),
  scenario('sorted map: deletion that merges', sortedMap(Wide, u32), wide(60, (i) => i), (values) => {
    for (let i = 3; i < 36; i++) values.delete(wideKey(i * 2))
  }),
  scenario('sorted map: deletion that takes from a neighbour', sortedMap(Wide, text), wide(75, key), (values) => {
    for (let i = 39; i < 72; i++) values.delete(wideKey(i * 2))
  }),
  scenario('sorted map: as many go as make it lower', sortedMap(Wide, u32), wide(40, (i) => i), (values) => {
    for (let i = 0; i < 36; i++) values.delete(wideKey(i * 2))
  }),
  scenario('sorted map: set of a known key', sortedMap([u32, text], text), many(40).map((i) => [[i % 4, key(i)], 'a value with memory'] as const), (values) => {
    values.set([1, key(5)], 'another value, with memory')
  }),
  scenario('sorted map: clear', sortedMap(u32, Part), many(40).map((i) => [i, part(i)] as const), (values) => {
    values.clear()
    values.set(7, part(7))
  }),
  scenario('fields: scalars', Fields, fields, (value) => {
    value.small = 9
    value.half = 999
    value.number = 1e300
    value.shorts.set(3, 99)
  }),
  scenario('fields: text', Fields, fields, (value) => {
    value.name = 'short'
    value.wide = 'ένα άλλο κείμενο, πιο μακρύ'
    value.part.name = 'the new name of the part'
    value.grid.set(1, 'another one in the grid')
  }),
  scenario('fields: bytes and numbers', Fields, fields, (value) => {
    value.raw = new Uint8Array(100).fill(3)
    value.values = new Float64Array(20).fill(0.25)
  }),
  scenario('fields: bytes and numbers of the same length', Fields, fields, (value) => {
    value.raw = new Uint8Array(30).fill(8)
    value.values = Float64Array.of(4, 5, 6)
  }),
  ...(['small', 'half', 'number', 'shorts', 'link'] as const).map((name) => scenario(`fields: ${name}`, Fields, fields, (value) => {
    if (name === 'shorts') value.shorts.set(5, 88)
    else if (name === 'link') value.link = null
    else value[name] = 200
  })),
  scenario('fields: optional', Fields, fields, (value) => {
    value.note = undefined
  }),
  scenario('fields: union', Fields, fields, (value) => {
    value.any = { kind: 'items', value: texts(4) as never }
  }),
  scenario('fields: union, the same kind', Fields, fields, (value) => {
    value.any = { kind: 'part', value: part(77) }
  }),
  scenario('json: new keys', Several, { total: 0, document }, ({ document: view }) => {
    const doc = view as unknown as Document
    doc.counts['a new key, with memory'] = 5
    doc.extra = { of: 'whatever', list: texts(3) }
    doc.total = 2.5
  }),
  scenario('json: deletion and replacement', Several, { total: 0, document }, ({ document: view }) => {
    const doc = view as unknown as Document
    delete doc.counts[key(3)]
    doc.deep = { c: texts(2) }
    delete doc.name
  }),
  scenario('json: arrays', Several, { total: 0, document }, ({ document: view }) => {
    const doc = view as unknown as Document
    doc.last.push('one more, with memory', { and: 'an object' })
    doc.last.splice(1, 2, 'spliced, with memory')
    doc.last.length = 4
  }),
  scenario('json: new keys where there is room', Several, { total: 0, document }, ({ document: view }) => {
    const doc = view as unknown as Document
    const count = Object.keys(doc.counts).length
    for (let i = 0; i < 3; i++) doc.counts[`key number ${count + i}, which is new`] = count
    doc.deep[`new ${count}`] = 'a text with memory'
  }, 'again'),
  scenario('json: keys taken out of their places', Several, { total: 0, document }, ({ document: view }) => {
    const doc = view as unknown as Document
    doc.counts['another key'] = 1
    const [first, second] = Object.keys(doc.counts)
    delete doc.counts[first!]
    doc.counts[second!] = 99
    delete doc.counts['another key']
    doc.deep['one'] = 1
    delete doc.deep['one']
    doc.total++
  }, 'again'),
  scenario('json: elements where there is room', Several, { total: 0, document }, ({ document: view }) => {
    const doc = view as unknown as Document
    doc.last.push('one more, with memory', doc.last.length)
    doc.last.splice(1, 1, 'spliced, with memory')
    doc.last.splice(2, 0, 7)
    doc.last[0] = `element 0 of ${doc.last.length}`
  }, 'again'),
  scenario('json: elements in another order', Several, { total: 0, document }, ({ document: view }) => {
    const doc = view as unknown as Document
    doc.last.push('further, with memory', doc.last.length)
    doc.last.reverse()
    doc.last.shift()
  }, 'again'),
  scenario('json: an array made longer, and shorter', Several, { total: 0, document }, ({ document: view }) => {
    const doc = view as unknown as Document
    doc.last[7] = 'a text that is far away'
    doc.last.length = 9
    ;(doc.deep['a'] as unknown[]).length = 0
    doc.total++
  }),
  scenario('json: an array made longer where there is room', Several, { total: 0, document }, ({ document: view }) => {
    const doc = view as unknown as Document
    doc.last[doc.last.length] = doc.last.length
    doc.last.length++
    doc.total++
  }, 'again'),
  scenario('json: another document', Several, { total: 0, document }, (value) => {
    value.document = { quite: 'another', one: texts(30) }
  }),
  scenario('several containers', Several, { total: 7, counts: words(9), order: parts(14), log: texts(4), document }, (value) => {
    value.total = 8
    value.counts.set('a word', 1)
    value.order.delete(key(2))
    value.order.set('a word', part(9))
    value.log.push('a word, with memory')
    const doc = value.document as unknown as Document
    doc.counts['a word'] = 1
  }),
  scenario('the first write of all', map(text, Part), parts(3), (values) => values.set('a new one', part(5)), 'first'),
  scenario('the first write of all, a large one', sortedMap(text, Part), parts(3), (values) => {
    for (let i = 0; i < 15; i++) values.set(`new ${key(i)}`, part(i))
  }, 'first'),
  scenario('a write that throws: list', list(text), texts(7), (values) => values.push(...texts(6)), 'throws'),
  scenario('a write that throws: sorted map', sortedMap(text, Part), parts(30), (values) => {
    for (let i = 0; i < 12; i++) values.set(`${key(i % 7)} and more: ${i}`, part(i))
  }, 'throws'),
  scenario('a write that throws: several', Several, { total: 7, counts: words(9), order: parts(14), log: texts(4), document }, (value) => {
    value.total = 8
    value.counts.delete(key(3))
    value.order.clear()
    value.log.splice(0, 2)
    value.document = { other: texts(5) }
  }, 'throws'),
]
