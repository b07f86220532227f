// parseJson understands exactly the texts that JSON.parse understands, and makes the same of them.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { RpcError } from '../../../src/base/errors.js'
import { fast, jsonEqual, parseJson, plain, release } from '../../../src/objects/index.js'
import { NoBench } from '../../../bench/nobench/generate.js'
import { Arena, Bump } from '../../support/arena.js'

const require = createRequire(import.meta.url)

/** What a parser makes of a text: a value, or a refusal. */
function outcome(parse: () => unknown): { readonly value: unknown } | 'refused' {
  try {
    return { value: parse() }
  } catch (error) {
    if (error instanceof SyntaxError || (RpcError.is(error) && error.code === 'INVALID_ARGUMENT')) return 'refused'
    throw error
  }
}

function assertSame(arena: Arena, text: string | Uint8Array): void {
  const ours = outcome(() => {
    const view = parseJson(arena, text)
    const value = plain(view)
    if (typeof view === 'object' && view !== null) release(arena, view)
    return value
  })
  const theirs = outcome(() => JSON.parse(typeof text === 'string' ? text : Buffer.from(text).toString()) as unknown)
  assert.deepStrictEqual(ours, theirs, `of ${JSON.stringify(String(text)).slice(0, 200)}`)
}

/** The view itself is what JSON.parse gives: keys and their order, getters, text, all the way down, and as a fast view too. */
function assertViewReads(view: unknown, expected: unknown, where: string): void {
  assert.deepStrictEqual(view, expected, where)
  assert.equal(JSON.stringify(view), JSON.stringify(expected), where)
  if (typeof expected !== 'object' || expected === null) return
  const keys = Object.keys(expected)
  const [seen, quick] = [view as Record<string, unknown>, fast(view as object) as Record<string, unknown> & { at?(index: number): unknown }]
  assert.deepStrictEqual([Object.keys(seen), Array.isArray(seen), Object.getPrototypeOf(seen)], [keys, Array.isArray(expected), Object.getPrototypeOf(expected)], where)
  const met: string[] = []
  for (const key in seen) met.push(key)
  assert.deepStrictEqual(met, keys, where)
  for (const key of keys) {
    const value: unknown = Reflect.get(expected, key)
    const place = `${where}, at ${JSON.stringify(key)}`
    assert.ok(key in seen && Object.hasOwn(seen, key), place)
    assertViewReads(seen[key], value, place)
    const fastValue = Array.isArray(expected) ? quick.at?.(Number(key)) : quick[key]
    if (typeof value === 'object' && value !== null) assert.ok(jsonEqual(fastValue, value), place)
    else assert.ok(Object.is(fastValue, value), place)
  }
}

function assertViewSame(arena: Arena, text: string | Uint8Array): void {
  let expected: unknown
  try {
    expected = JSON.parse(String(text))
  } catch {
    return
  }
  const view = parseJson(arena, text)
  assertViewReads(view, expected, `of ${JSON.stringify(String(text)).slice(0, 200)}`)
  if (typeof view === 'object' && view !== null) release(arena, view)
}

const CASES = [
  '', ' ', '1', '-0', '0', '-1', '01', '-', '+1', '1.', '.5', '1.5', '1e', '1e5', '1E+5', '1e-5', '1e400', '-1e400', '1e-400', '123456789', '1234567890', '4294967296',
  '9007199254740993', '123456789012345678901234567890', '0.1', '0.30000000000000004', '1.7976931348623157e308', '5e-324', '2.2250738585072011e-308', '-0.0', '-0e5', '1e23', '8.41e21',
  'true', 'false', 'null', 'tru', 'truee', 'nul', 'undefined', 'NaN', 'Infinity', '"a"', '"', '"a', '"\\', '"\\u', '"\\u12"', '"\\u12g4"', '"\\x"', '"\\u0041\\n\\/\\b\\f\\r\\t\\"\\\\"', '"\t"', '"\n"',
  '"\u007f"', '"\u0000"', '"é"', '"κλειδί"', '"😀"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00\\ud83d"', '"\ud83d"', '"a\ude00b"', '"\ufeff"', '\ufeff1', '[]', '[ ]', '[1]', '[1,]', '[,1]', '[1 2]', '[1', '[', ']', '[[[]]]',
  '{}', '{ }', '{"a":1}', '{"a":1,}', '{,}', '{"a"}', '{"a":}', '{"a" 1}', '{a:1}', '{\'a\':1}', '{"a":1 "b":2}', '{"a":1', '{"a', '{"a":1}}', '1 2', '[] []', '{"":1}', '{"":1,"":2}', '{"a":1,"b":2,"a":3}',
  '{"a":{"b":1,"b":2},"a":[1]}', '{"__proto__":1}', '{"__proto__":{"x":1},"toString":2,"constructor":3}', '{"b":1,"2":2,"a":3,"1":4,"-1":5,"01":6,"4294967295":7,"4294967294":8}', '{"\\u0061":1,"a":2}', '{"é":1,"\\u00e9":2}',
  ' \t\n\r[ 1 , 2 ] \t\n\r', '\u00a01', '1\u2028', '\v1', '\f1', '/**/1', '"abcd"', '"abcde"', '"abcdef"', '"abc\\u0064"', '["abcdefgh\\n"]', '"\u0080"',
]

test('texts with a point', () => {
  const arena = new Arena(1 << 22)
  for (const text of CASES) {
    for (let times = 0; times < 3; times++) assertSame(arena, text)
    assertSame(arena, Buffer.from(text))
    assertSame(arena, `[${text},${text}]`)
    assertSame(arena, `{"key": ${text}, "other key": [${text}]}`)
    for (const one of [text, `[${text},${text}]`, `{"key": ${text}, "other key": [${text}], "key": ${text}}`]) {
      // As a dictionary, then as a shape.
      for (let times = 0; times < 3; times++) assertViewSame(arena, one)
    }
  }
})

test('bytes that are no UTF-8 are read as JSON.parse(buffer.toString()) reads them', () => {
  const arena = new Arena(1 << 24)
  fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
    const inner = bytes.filter((byte) => byte !== 0x22 && byte !== 0x5c && byte >= 0x20)
    assertSame(arena, Buffer.concat([Buffer.from('["x'), inner, Buffer.from('"]')]))
  }), { numRuns: 3000 })
})

test('generated values, however they are spaced', () => {
  const arena = new Arena(1 << 26)
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), fc.constantFrom(0, 1, '\t', ' \r\n'), (value, space) => {
    const text = JSON.stringify(value, null, space)
    assertSame(arena, text)
    assertSame(arena, Buffer.from(text))
  }), { numRuns: 600 })
})

test('texts with an error somewhere', () => {
  const arena = new Arena(1 << 26)
  const piece = fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', 'u00', '0', '1', '-', '.', 'e', ' ', '\n', 'true', 'null', '"a"', '"key":', 'é', '\u0001')
  fc.assert(fc.property(fc.json({ maxDepth: 3 }), fc.nat(), fc.nat({ max: 3 }), fc.array(piece, { maxLength: 3 }), (text, place, remove, pieces) => {
    const at = place % (text.length + 1)
    assertSame(arena, text.slice(0, at) + pieces.join('') + text.slice(at + remove))
  }), { numRuns: 5000 })
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => assertSame(arena, pieces.join(''))), { numRuns: 5000 })
})

test('numbers are the nearest doubles', () => {
  const arena = new Arena(1 << 24)
  const digits = fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 20 }).map((list) => list.join(''))
  fc.assert(fc.property(digits, digits, fc.integer({ min: -330, max: 330 }), fc.boolean(), (whole, part, exponent, negative) => {
    const text = `${negative ? '-' : ''}${whole.replace(/^0+(?=\d)/, '')}.${part}e${exponent}`
    assert.ok(Object.is(parseJson(arena, text), JSON.parse(text)), text)
  }), { numRuns: 5000 })
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
    assert.ok(Object.is(parseJson(arena, JSON.stringify(value)), JSON.parse(JSON.stringify(value))))
  }), { numRuns: 3000 })
})

test('real files', () => {
  const arena = new Arena(1 << 28)
  for (const name of ['@mdn/browser-compat-data', '../../../../package-lock.json', 'unicode-emoji-json/data-by-emoji.json']) {
    const value = require(name) as unknown
    for (const text of [JSON.stringify(value), Buffer.from(JSON.stringify(value, null, 2))]) {
      const view = parseJson(arena, text) as object
      assert.deepStrictEqual(plain(view), value)
      release(arena, view)
    }
  }
})

test('long strings, many elements, and documents of many blocks', () => {
  const arena = new Arena(1 << 28)
  const values = [
    'x'.repeat(100_000), 'é'.repeat(70_000), '😀'.repeat(70_000), Array.from({ length: 300_000 }, (_, i) => i),
    Array.from({ length: 5000 }, (_, i) => ({ id: i, name: `the name of number ${i}`, tags: ['a', `tag ${i}`], only: { [`key ${i}`]: 'a text with memory' } })),
    Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`key number ${i}`, `value number ${i}`])),
  ]
  for (const value of values) {
    assertSame(arena, JSON.stringify(value))
    assertSame(arena, Buffer.from(JSON.stringify([value, { value }])))
  }
})

test('keys that come again, in documents of many blocks, with others behind them', () => {
  const arena = new Arena(1 << 24)
  for (const [first, more] of [[600, 100], [600, 1], [900, 400], [30, 500], [2000, 0]] as const) {
    const keyed = (from: number, count: number, value: string): string[] => Array.from({ length: count }, (_, i) => `"key number ${from + i}": "${value} ${i}, a text with memory"`)
    const text = `{ ${[...keyed(0, first, 'first'), ...keyed(0, first, 'again'), ...keyed(first, more, 'more')].join()} }`
    const view = parseJson(arena, text) as object
    assert.deepStrictEqual(plain(view), JSON.parse(text))
    release(arena, view)
  }
})

test('long strings with anything in them, and with an error', () => {
  const arena = new Arena(1 << 24)
  const pieces = ['plain', 'é', 'κλειδί', '😀', '\\n', '\\u00e9', '\\ud83d', '\\ude00', '\\"', '\\x', '\\u12g4', '\n', '\u007f', '\\\\']
  for (const length of [200, 252, 253, 254, 255, 256, 257, 300, 3000]) {
    for (const piece of pieces) {
      for (const text of [`"${'a'.repeat(length)}${piece}"`, `"${piece.padEnd(length, 'b')}"`, `["${piece.repeat(length)}",1]`, `{"${piece}${'k'.repeat(length)}":1}`]) {
        assertSame(arena, text)
        assertSame(arena, text.slice(0, -1))
      }
    }
  }
  for (const bytes of [[0xff], [0xc3], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98], [0xf5, 0x80]]) {
    assertSame(arena, Buffer.concat([Buffer.from(`["${'a'.repeat(400)}`), Buffer.from(bytes), Buffer.from('z\\n"]')]))
  }
})

test('depth is limited, with a sentence that says where', () => {
  const arena = new Arena(1 << 22)
  const nested = (depth: number): string => '[{"a":'.repeat(depth / 2) + '1' + '}]'.repeat(depth / 2)
  assertSame(arena, nested(1000))
  assert.throws(() => parseJson(arena, nested(1002)), { code: 'INVALID_ARGUMENT', message: /nested at most 1000 deep here; at byte 3000/ })
  assert.throws(() => parseJson(arena, '{"a": 1,\n "b": x}'), { code: 'INVALID_ARGUMENT', message: /there is "x" at byte 15, where a value is expected/ })
  assert.throws(() => parseJson(arena, '[1'), { code: 'INVALID_ARGUMENT', message: /the text ends at byte 2, where a comma or the end of the array/ })
  assert.throws(() => parseJson(arena, 5 as unknown as string), { code: 'INVALID_ARGUMENT' })
})

test('parsing makes no JavaScript values: it takes little of their heap, where JSON.parse takes more than the text', () => {
  // Which keeps no books of its own.
  const memory = new Bump(1 << 26)
  const bytes = Buffer.from(JSON.stringify(Array.from(new NoBench(6000))))
  const grown = (parse: () => object): number => {
    gc!()
    const before = process.memoryUsage().heapUsed
    const made = parse()
    const after = process.memoryUsage().heapUsed
    assert.ok(typeof made === 'object')
    return after - before
  }
  // What the code itself needs when it runs for the first time.
  grown(() => parseJson(memory, bytes) as object)
  const ours = grown(() => parseJson(memory, bytes) as object)
  const text = bytes.toString()
  const theirs = grown(() => JSON.parse(text) as object)
  assert.ok(ours < theirs / 4 && theirs > bytes.length / 2, `${ours} bytes of JavaScript's heap, ${theirs} by JSON.parse, of ${bytes.length} bytes of text`)
})

test('a refused text leaves nothing behind', () => {
  const arena = new Arena(1 << 22)
  const before = arena.live
  assert.throws(() => parseJson(arena, `[${'"a text with memory of a good length",'.repeat(5000)}x]`), { code: 'INVALID_ARGUMENT' })
  assert.equal(arena.live, before)
})
