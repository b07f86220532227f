// Getters, iterators and callbacks are the caller's code, and may change the very container that they are called for.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assign, build, list, plain, release, struct, text, u32 } from '../../src/objects/index.js'
import { Arena } from '../support/arena.js'

const Item = struct('Item', { id: u32, name: text })
const Holder = struct('Holder', { items: list(Item), lists: list(list(text)), fixed: array(Item, 2) })

/** A plain item whose getter does something first. */
function meddling(id: number, meddle: () => void): { readonly id: number, readonly name: string } {
  return {
    id,
    get name() {
      meddle()
      return `the name of item ${id}`
    },
  }
}

function item(id: number): { readonly id: number, readonly name: string } {
  return { id, name: `the name of item ${id}` }
}

test('what the getters of a new value do to its list is kept, and nothing is lost or freed twice', () => {
  const changes: ReadonlyArray<readonly [name: string, expected: readonly number[], change: (holder: ReturnType<typeof make>) => void]> = [
    ['push', [0, 1, 10, 11, 12, 13, 14, 9], ({ items }) => items.push(meddling(9, once(() => items.push(...[10, 11, 12, 13, 14].map(item)))))],
    ['push onto what was cleared', [9], ({ items }) => items.push(meddling(9, () => items.clear()))],
    ['splice', [9], ({ items }) => items.splice(0, 1, meddling(9, once(() => items.shift())))],
    ['assignment', [9], (holder) => assign(holder, { items: [meddling(9, once(() => assign(holder, { items: [10, 11].map(item) })))] })],
    ['assignment of an iterator that empties it', [0, 1], (holder) => assign(holder, { items: taking(() => holder.items.shift()) })],
    ['set', [0, 9, 10], ({ items }) => { items.set(1, meddling(9, once(() => items.set(1, item(8))))); items.push(item(10)) }],
  ]
  for (const [name, expected, change] of changes) {
    const arena = new Arena(1 << 16)
    const holder = make(arena)
    change(holder)
    assert.deepEqual(plain(holder.items).map(({ id }) => id), expected, name)
    assert.ok(plain(holder.items).every(({ id, name: one }) => one === `the name of item ${id}`), name)
    release(arena, holder)
    arena.assertEmpty()
  }
})

test('an element whose place moves while its new value is made is not set, and says so', () => {
  const arena = new Arena(1 << 16)
  const holder = make(arena)
  const { items, lists } = holder
  assert.throws(() => items.set(0, meddling(9, () => items.push(item(7)))), { code: 'ABORTED', sentence: /was changed by a getter/ })
  assert.throws(() => items.set(1, meddling(9, () => items.clear())), { code: 'ABORTED' })
  assert.equal(items.length, 0)
  assert.throws(() => lists.set(0, taking(() => {
    lists.push(['another'])
    return lists.length > 3 ? undefined : 'x'
  })), { code: 'ABORTED' })
  assert.deepEqual(plain(lists), [['a'], ['another'], ['another'], ['another']])
  release(arena, holder)
  arena.assertEmpty()
})

test('what callbacks add is not visited, and what they take out is not either', () => {
  const arena = new Arena(1 << 16)
  const visits = (go: (items: ReturnType<typeof make>['items'], visit: () => boolean) => unknown): number => {
    const holder = make(arena)
    let count = 0
    go(holder.items, () => {
      if (++count < 50) holder.items.push(item(100 + count))
      return false
    })
    release(arena, holder)
    return count
  }
  assert.equal(visits((items, visit) => { items.forEach(visit) }), 2)
  assert.equal(visits((items, visit) => items.map(visit)), 2)
  assert.equal(visits((items, visit) => items.filter(visit)), 2)
  assert.equal(visits((items, visit) => items.find(visit)), 2)
  assert.equal(visits((items, visit) => items.some(visit)), 2)
  assert.equal(visits((items, visit) => items.every(() => !visit())), 2)
  assert.equal(visits((items, visit) => items.reduce(() => visit(), false)), 2)
  const { items } = make(arena)
  let visited = 0
  items.forEach(() => {
    visited++
    items.clear()
  })
  assert.equal(visited, 1)
})

function make(arena: Arena): ReturnType<typeof build<typeof Holder>> {
  return build(Holder, arena, { items: [item(0), item(1)], lists: [['a']], fixed: [item(0), item(1)] })
}

function once(work: () => unknown): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    work()
  }
}

function* taking<T>(take: () => T | undefined): Generator<T> {
  for (let value = take(); value !== undefined; value = take()) yield value
}
