// Makes, forgets and misuses objects, in a process that runs with RPCOOL_DEBUG=heap; prints what it is told.
import { ObjectHeap } from '../../src/calls/heaps/object-heap.js'
import { Heap, HeapSet } from '../../src/memory/index.js'
import { list, ref, struct, text, u32 } from '../../src/objects/index.js'
import { HEAPS_BASE } from '../../src/sys/index.js'

const Post = struct('Post', { id: u32, author: text, get reply() { return ref(Post) } })
const buffer = new ArrayBuffer(8 << 20)
const heap = new ObjectHeap(new HeapSet((space) => new Heap(buffer, HEAPS_BASE, 1, space)))
const say = (what: string, value: unknown): void => void process.stdout.write(`${what}: ${JSON.stringify(value)}\n`)

function attempt(what: string, work: () => unknown): void {
  try {
    say(what, work())
  } catch (error) {
    say(what, (error as Error).message)
  }
}

function forget(id: number): void {
  heap.new(Post, { id, author: 'an author whose name takes memory' })
}

const post = heap.new(Post, { id: 1, author: 'the first author of them all' })
const holder = heap.new(Post, { id: 2, author: 'b', reply: post })
const posts = heap.new(list(Post), [{ id: 3, author: 'c' }])
attempt('leaks before', () => heap.leaks().map(({ type, objects }) => [type, objects]))
heap.free(post)
attempt('read', () => post.author)
attempt('write', () => { post.id = 5 })
attempt('follow', () => holder.reply)
attempt('free again', () => heap.free(post))
heap.free(holder)
heap.free(posts)
for (let i = 0; i < 3; i++) forget(i)
for (let i = 0; i < 2000; i++) heap.free(heap.new(Post, { id: i, author: 'many authors come and go' }))
attempt('live', () => heap.stats().liveBlocks)
attempt('leaks', () => heap.leaks())
heap.close()
