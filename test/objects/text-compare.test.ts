import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { build, list, ref, release, struct, text, textField, u32 } from '../../src/objects/index.js'
import { compareUnits, prefixMask, prefixOf, Units } from '../../src/objects/text/compare.js'
import { Arena } from '../support/arena.js'
import { keyedHash } from '../../src/objects/text/keyed-hash.js'

const Post = struct('Post', { id: u32, author: text, body: text })
const author = textField(Post, 'author')
const word = fc.oneof(
  fc.constantFrom('', 'a', '\0', 'abc', 'abc\0', 'abcdefg', 'abcdefgh', 'ÿ', 'ÿÿ', 'Ā', 'aĀ', 'aĀb', '\uD800', 'a long text, but not of long words', 'a long text, but not of long wordz'),
  fc.string({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ unit: fc.constantFrom('a', 'b', 'ÿ', 'Ā', '\0'), maxLength: 10 }))

const sign = (n: number): number => Math.sign(n)
const order = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

test('texts compare, start and hash as strings do, and nothing is decoded', () => {
  fc.assert(fc.property(word, word, fc.nat(8), (a, b, cut) => {
    const arena = new Arena(1 << 12)
    const [x, y] = [build(Post, arena, { id: 1, author: a, body: '' }), build(Post, arena, { id: 2, author: b, body: b })]
    assert.equal(sign(author.compare(x, y)), order(a, b))
    assert.equal(sign(author.comparedTo(b)(x)), order(a, b))
    assert.equal(author.is(b)(x), a === b)
    assert.ok(author.is(a)(x))
    assert.equal(author.startsWith(b)(x), a.startsWith(b))
    assert.ok(author.startsWith(a.slice(0, cut))(x))
    assert.equal(author.hash(y), textField(Post, 'body').hash(y))
    if (a !== b) assert.ok(author.hash(x) !== author.hash(y))
    release(arena, x)
    release(arena, y)
  }), { numRuns: 3000 })
})

test('prefixes keep the order of texts, and what they share tells what may start with them', () => {
  const [left, right] = [new Units(), new Units()]
  fc.assert(fc.property(word, word, (a, b) => {
    left.set(a)
    right.set(b)
    const [p, q] = [prefixOf(left), prefixOf(right)]
    if (p !== q) assert.equal(sign(p - q), order(a, b))
    assert.equal(sign(compareUnits(left, right)), order(a, b))
    if (a.startsWith(b)) assert.equal((p & prefixMask(right)) >>> 0, (q & prefixMask(right)) >>> 0)
  }), { numRuns: 3000 })
})

test('an empty text is one, however it came about', () => {
  const arena = new Arena()
  const holder = build(struct('Holder', { posts: list(Post), first: ref(Post) }), arena, { posts: [{ id: 1, author: '', body: '' }] })
  const post = holder.posts.at(0)!
  assert.ok(author.is('')(post) && author.startsWith('')(post) && !author.is('a')(post))
  post.author = 'some long enough name'
  assert.ok(author.is('some long enough name')(post) && !author.is('some long enough nama')(post))
  post.author = ''
  assert.ok(author.is('')(post))
})

test('what is no text field, and what is no view of the struct, is refused', () => {
  assert.throws(() => textField(Post, 'id' as never), /Post\.id is not a text field/)
  assert.throws(() => author.is('x')({ id: 1, author: 'x', body: '' }), /expected a view of Post/)
  assert.throws(() => author.is(5 as never), { code: 'INVALID_ARGUMENT' })
})

test('the keyed hash is HalfSipHash-1-3: of whole words, with their length in bytes as the head, it is what the Linux kernel tests its own with', () => {
  const words = new Int32Array(Uint8Array.from({ length: 16 }, (_, i) => i).buffer)
  const hashes = [0, 1, 2, 3].map((count) => keyedHash(0x0302_0100, 0x0706_0504, count * 4 << 24, words, 0, count) >>> 0)
  assert.deepEqual(hashes, [0x5814_c896, 0x7e05_9ea6, 0x5779_99b1, 0x6b28_096c])
  assert.notEqual(keyedHash(1, 2, 8, words, 1, 2), keyedHash(1, 2, 8, words, 0, 2))
})
