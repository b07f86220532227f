// jsonEqual tells two values apart that differ in one place, wherever it is and whatever form each has.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { buildJson, fast, jsonEqual, parseJson, release } from '../../../src/objects/index.js'
import { Arena } from '../../support/arena.js'

type Tree = Record<string, unknown>

/** A copy of the value that differs in one place; undefined where this change has no place there. */
function changed(value: unknown, path: readonly number[], how: 'value' | 'key' | 'less' | 'more', other: unknown): unknown {
  if (typeof value !== 'object' || value === null || (path.length === 0 && how === 'value')) {
    return how === 'value' && JSON.stringify(value) !== JSON.stringify(other) && !Object.is(value, other) ? { changed: other } : undefined
  }
  const copy = (Array.isArray(value) ? [...value as unknown[]] : { ...value }) as Tree
  const keys = Object.keys(copy)
  if (path.length > 0) {
    if (keys.length === 0) return undefined
    const key = keys[path[0]! % keys.length]!
    const inner = changed(copy[key], path.slice(1), how, other) as { readonly changed: unknown } | undefined
    return inner === undefined ? undefined : { changed: replaced(copy, key, inner.changed) }
  }
  if (how === 'more') return { changed: Array.isArray(copy) ? [...copy as unknown[], other] : 'one key more' in copy ? undefined : { ...copy, 'one key more': other } }
  const last = keys.at(-1)
  if (last === undefined) return undefined
  if (how === 'less') return { changed: Array.isArray(copy) ? copy.slice(0, -1) as unknown : without(copy, last) }
  return Array.isArray(copy) || 'another key' in copy ? undefined : { changed: { ...without(copy, last), 'another key': copy[last] } }
}

function replaced(copy: Tree, key: string, value: unknown): Tree {
  Object.defineProperty(copy, key, { value, writable: true, enumerable: true, configurable: true })
  return copy
}

function without(copy: Tree, key: string): Tree {
  Reflect.deleteProperty(copy, key)
  return copy
}

test('values that differ in one place are not equal, as views of either form, as plain values, built or parsed', () => {
  let compared = 0
  const leaf = fc.constantFrom<unknown>(0, 1, -1, 0.5, true, false, null, '', 'a', 'a text with memory', 'a text with memorx', 'κλειδί', 2 ** 40, [], {})
  fc.assert(fc.property(fc.json({ maxDepth: 4 }), fc.array(fc.nat(7), { maxLength: 4 }), fc.constantFrom('value' as const, 'key' as const, 'less' as const, 'more' as const), leaf, (text, path, how, other) => {
    const value: unknown = JSON.parse(text)
    const difference = changed(value, path, how, other) as { readonly changed: unknown } | undefined
    if (typeof value !== 'object' || value === null || difference === undefined || typeof difference.changed !== 'object' || difference.changed === null) return
    const arena = new Arena(1 << 20)
    // The same keys in the opposite order are the same object.
    const turned = Array.isArray(value) ? value as object : Object.fromEntries(Object.entries(value).toReversed())
    const left = [value, buildJson(arena, value) as object, parseJson(arena, JSON.stringify(turned)) as object]
    const right = [difference.changed, buildJson(arena, difference.changed) as object, parseJson(arena, JSON.stringify(difference.changed)) as object]
    left.push(fast(left[1]!))
    right.push(fast(right[1]!))
    for (const one of left) {
      for (const same of left) assert.equal(jsonEqual(one, same), true, text)
      for (const unlike of right) assert.deepEqual([jsonEqual(one, unlike), jsonEqual(unlike, one)], [false, false], `${text} and ${JSON.stringify(difference.changed)}`)
    }
    for (const view of [left[1]!, left[2]!, right[1]!, right[2]!]) release(arena, view)
    compared++
  }), { numRuns: 400 })
  assert.ok(compared > 50, `${compared} pairs were compared`)
})
