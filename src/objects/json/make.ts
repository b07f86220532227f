import { ARRAY, OBJECT } from '../../layout/json-layout.js'
import type { Allocator } from '../../memory/region.js'
import { building, type Build } from '../graph/build.js'
import { REGION, WORD } from '../view.js'
import type { Built } from './builder.js'
import { fastForm } from './fast.js'
import { writeValue } from './from-value.js'
import { writeParsed } from './parse.js'
import { proxies } from './proxies.js'
import { valueOf } from './read.js'
import { jsonView, tagOf } from './whole.js'

/** Writes a document into memory of the allocator, by `write`; returns a view of it, which is the caller's to release. */
export function makeJson(allocator: Allocator, write: (build: Build) => Built): unknown {
  return building(allocator, (build) => {
    const { lo, hi, region } = write(build)
    const tag = hi >> 16
    return valueOf(tag === OBJECT || tag === ARRAY ? region : build.region, lo, hi, proxies)
  })
}

/** A document of a plain value. */
export function buildJson(allocator: Allocator, value: unknown): unknown {
  return makeJson(allocator, (build) => writeValue(build, allocator, value, 'heap.json'))
}

/** A document from its text. */
export function parseJson(allocator: Allocator, text: string | Uint8Array): unknown {
  return makeJson(allocator, (build) => writeParsed(build, allocator, text))
}

/**
 * The same object or array, read through a class of compiled getters instead of a Proxy: for hot loops. What is read from it
 * is of the same kind. It has the document's keys as properties, to read and to assign, and nothing else: no `Object.keys`,
 * `in` or spread. An array has `length`, `at`, `set` and iteration.
 */
export function fast<T extends object>(view: T): T {
  const behind = jsonView(view)
  const { [REGION]: region, [WORD]: word } = behind
  return (tagOf(behind) === ARRAY ? fastForm.array(region, word) : fastForm.object(region, word)) as T
}
