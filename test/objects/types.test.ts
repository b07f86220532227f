// What TypeScript infers. A wrong type fails the build, not the run.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  array, bool, build, bytes, f64, i64, list, map, nothing, optional, plain, json, ref, safeU64, set, shared, sortedMap, struct, text, textField, u32, u64, union,
  type FixedArrayView, type ListView, type MapView, type Plain, type ReadonlyMapView, type ReadonlyView, type SequenceView, type Snapshot, type Unset, type View,
} from '../../src/objects/index.js'
import type { NoPromise } from '../../src/objects/views.js'
import { Arena } from '../support/arena.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
type Accepts<Target, Value> = Value extends Target ? true : false
function expect<_Holds extends true>(): void {}
function refuse<_Fails extends false>(): void {}

const Post = struct('Post', { id: u64, author: text, likes: u32, get replies() { return list(ref(Post)) } })
type Post = View<typeof Post>
const Node = struct('Node', { value: u32, get next() { return ref(Node) } })
type Node = View<typeof Node>
const Left = struct('Left', { n: f64, get right() { return ref(Right) } })
const Right = struct('Right', { t: text, get left() { return list(Left) } })
const All = struct('All', {
  a: i64, b: bool, c: bytes, d: optional(text), e: array(u32, 4), f: map(text, list(u32)), g: map(safeU64, Node), h: union({ n: f64, node: Node, gone: nothing }),
})
type All = View<typeof All>

test('views', () => {
  expect<Equal<Post['id'], bigint>>()
  expect<Equal<Post['author'], string>>()
  expect<Equal<Node, { value: number, next: View<typeof Node> | null }>>()
  expect<Equal<Node['next'], Node | null>>()
  expect<Equal<keyof Post, 'id' | 'author' | 'likes' | 'replies'>>()
  expect<Equal<ReturnType<Post['replies']['at']>, Post | null | undefined>>()
  expect<Equal<View<typeof Left>['right'], View<typeof Right> | null>>()
  expect<Equal<ReturnType<View<typeof Right>['left']['at']>, View<typeof Left> | undefined>>()
  expect<Equal<All['a'], bigint>>()
  expect<Equal<All['b'], boolean>>()
  expect<Equal<All['c'], Uint8Array>>()
  expect<Equal<All['d'], string | undefined>>()
  expect<Equal<All['e'], FixedArrayView<number, number>>>()
  expect<Equal<All['f'], MapView<string, ListView<number, number>, Iterable<number>>>>()
  expect<Equal<ReturnType<All['g']['get']>, Node | undefined>>()
  expect<Equal<All['h'], { readonly kind: 'n', readonly value: number } | { readonly kind: 'node', readonly value: Node } |
    { readonly kind: 'gone', readonly value: undefined } | Unset>>()
  expect<Equal<View<typeof nothing>, undefined>>()
})

test('plain values', () => {
  expect<Accepts<Plain<typeof Post>, { id: bigint, author: string, likes: number }>>()
  expect<Accepts<Plain<typeof Post>, { id: bigint, author: string, likes: number, replies: Array<Post | null> }>>()
  expect<Accepts<Plain<typeof Post>, Post>>()
  expect<Accepts<Plain<typeof All>, All>>()
  expect<Accepts<Plain<typeof Node>, { value: number, next: { value: number, next: null } }>>()
  refuse<Accepts<Plain<typeof Post>, { id: number, author: string, likes: number }>>()
  refuse<Accepts<Plain<typeof Post>, { id: bigint, author: string }>>()
  refuse<Accepts<Plain<typeof Post>, { id: bigint, author: string, likes: number, replies: string[] }>>()
  refuse<Accepts<Plain<typeof Node>, { value: number, next: { value: string } }>>()
  refuse<Accepts<Plain<typeof All>['h'], { kind: 'n', value: string }>>()
})

test('snapshots', () => {
  type PlainPost = Snapshot<Post>
  expect<Equal<PlainPost['id'], bigint>>()
  expect<Accepts<PlainPost['replies'], Array<{ id: bigint, author: string, likes: number, replies: [] } | null>>>()
  expect<Equal<Snapshot<All>['e'], number[]>>()
  expect<Equal<Snapshot<All>['f'], Map<string, number[]>>>()
  expect<Equal<Snapshot<All>['c'], Uint8Array>>()
})

const Shelf = struct('Shelf', {
  posts: map(text, Post), names: set(text), order: sortedMap([u32, text], u32), pair: array(u32, 2), doc: json.of<{ a: { b: string[] } }>(), any: union({ node: Node }),
  maybe: optional(Node), data: bytes, inner: shared(list(u32)), get next() { return ref(Shelf) },
})
const Cupboard = struct('Cupboard', { shelf: shared(Shelf) })
type Looked = ReadonlyView<typeof Shelf>

const readNumber = (work: (value: Looked) => NoPromise<Promise<number>> | NoPromise<number>): unknown => work

test('what read shows is read-only, as deep as it goes, and no promise comes back', () => {
  expect<Equal<ReadonlyView<typeof Node>, { readonly value: number, readonly next: ReadonlyView<typeof Node> | null }>>()
  expect<Equal<Looked['posts'], ReadonlyMapView<string, ReadonlyView<typeof Post>>>>()
  expect<Equal<ReadonlyView<typeof Post>['replies'], SequenceView<ReadonlyView<typeof Post> | null>>>()
  expect<Equal<Looked['doc']['a']['b'], readonly string[]>>()
  expect<Accepts<Looked, View<typeof Shelf>>>()
  expect<Accepts<Plain<typeof Shelf>, Looked>>()
  expect<Equal<Snapshot<Looked>['posts'], Map<string, Snapshot<ReadonlyView<typeof Post>>>>>()
  expect<Equal<Snapshot<Looked>['doc'], { a: { b: string[] } }>>()
  expect<Equal<Snapshot<Looked>['inner'], number[]>>()
  expect<Equal<Snapshot<Looked>['order'], Map<readonly [number, string], number>>>()
  type Writers = 'set' | 'delete' | 'clear' | 'add' | 'push' | 'splice' | 'sort' | 'fill' | 'write' | 'getOrInsert'
  expect<Equal<Extract<keyof (Looked['posts'] | Looked['order']), Writers>, never>>()
  expect<Equal<Extract<keyof Looked['names'], Writers>, never>>()
  expect<Equal<Extract<keyof Looked['pair'], Writers>, never>>()
  expect<Equal<Extract<keyof Looked['inner'], Writers>, never>>()
  refuse<Accepts<Parameters<typeof readNumber>[0], () => Promise<number>>>()
  expect<Accepts<Parameters<typeof readNumber>[0], () => number>>()
  const see = ({ shelf }: View<typeof Cupboard>): unknown => {
    const found: number | undefined = shelf.read((all) => all.posts.get('a')?.replies.at(0)?.likes)
    shelf.write((all) => { all.posts.get('a')!.replies.push(null); return found })
    shelf.write((all) => void shelf.read((same) => same.names.union(all.names)))
    shelf.read((all) => [...all.posts.values()].filter(textField(Post, 'author').startsWith('a')).map((post) => plain(post).likes))
    return found
  }
  assert.equal(typeof see, 'function')
})

test('use as in the examples', () => {
  const arena = new Arena()
  const post: Post = build(Post, arena, { id: 1n, author: 'me', likes: 0, replies: [{ id: 2n, author: 'you', likes: 1 }, null] })
  let likes = 0
  for (const reply of post.replies) likes += reply?.likes ?? 100
  assert.equal(likes, 101)
  assert.equal(post.replies[0]?.author, 'you')
  post.likes++
  post.replies.push(post, null, { id: 3n, author: 'them', likes: 0 })
  assert.equal(plain(post).replies[2]!.likes, 1)
  const all = build(All, arena, { a: 1n, b: true, c: new Uint8Array(), e: [1, 2, 3, 4], h: { kind: 'n', value: 1 } })
  if (all.h.kind === 'n') assert.equal(all.h.value + 1, 2)
  else assert.fail()
})
