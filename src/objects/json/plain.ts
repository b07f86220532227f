// Plain values of documents.
import { RpcError } from '../../base/errors.js'
import { ARRAY, DICTIONARY_WORDS, ENTRY_WORDS, OBJECT, RECORD_WORDS } from '../../layout/json-layout.js'
import type { Region } from '../../memory/region.js'
import { damaged } from '../problems.js'
import { TextBudget } from '../text/budget.js'
import { MAX_JSON_DEPTH } from './limits.js'
import { keyText, valueOf } from './read.js'
import { follow, openContainer, opened } from './record.js'

/** Converts one document; stops when it has visited too many values. */
export class PlainReader {
  #left: number

  /** @param visited of `maxNodes` before. */
  constructor(readonly maxNodes: number, readonly texts = new TextBudget(), visited = 0) {
    this.#left = maxNodes - visited
  }

  /** Of `maxNodes`, so far. */
  get visited(): number {
    return this.maxNodes - this.#left
  }

  /** The object or array at a word, as a plain one. */
  container(region: Region, word: number, tag: number, depth = 0): object {
    if (depth > MAX_JSON_DEPTH) damaged('a document is nested too deep, or goes in circles')
    const { region: home, word: record, count, shape } = openContainer(region, word, tag)
    this.#left -= 1 + count
    if (this.#left < 0) throw new RpcError('RESOURCE_EXHAUSTED', `more than ${this.maxNodes} values; raise maxNodes if it is legitimate`)
    this.texts.meet(home)
    if (tag === ARRAY) {
      const values: unknown[] = []
      for (let i = 0, p = record + RECORD_WORDS; i < count; i++, p += 2) values.push(this.#value(home, p, depth))
      return values
    }
    const object = {}
    if (shape !== null) {
      const { keys } = shape
      for (let i = 0, p = record + RECORD_WORDS; i < count; i++, p += 2) define(object, keys[i]!, this.#value(home, p, depth))
      return object
    }
    for (let i = 0, p = record + DICTIONARY_WORDS; i < count; i++, p += ENTRY_WORDS) {
      const lo = home.i32[p]! | 0
      const hi = home.i32[p + 1]! | 0
      if (lo === 0 && hi === 0) continue
      define(object, keyText(this.texts, home, lo, hi), this.#value(home, p + 2, depth))
    }
    return object
  }

  #value(region: Region, p: number, depth: number): unknown {
    return this.cell(region, region.i32[p]! | 0, region.i32[p + 1]! | 0, depth + 1)
  }

  /** The value of a cell whose words were read from memory of `region`. */
  cell(region: Region, lo: number, hi: number, depth = 0): unknown {
    const tag = hi >> 16
    if (tag !== OBJECT && tag !== ARRAY) {
      const value = valueOf(region, lo, hi, noForm)
      if (typeof value === 'string') this.texts.spend(value.length)
      return value
    }
    follow(region, hi & 0xffff, lo, RECORD_WORDS)
    return this.container(opened.region, opened.word, tag, depth)
  }
}

const noForm = { object: unexpected, array: unexpected }

function unexpected(): never {
  return damaged('a value of json changed while it was read')
}

function define(object: object, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  else (object as Record<string, unknown>)[key] = value
}
