// Objects and arrays of json as JavaScript's own: a Proxy each, whose handler knows where the record lies.
import { RpcError } from '../../base/errors.js'
import { RECORD_WORDS } from '../../layout/json-layout.js'
import type { Region } from '../../memory/region.js'
import { BEHIND, HOLD, type Hold, REGION, TYPE, WORD, type Located } from '../view.js'
import { arrayMethod, assignLength, refuseProperty } from './array-methods.js'
import { inspectNode } from './inspect.js'
import { cellOfKey, type Form, keysOf, readCell } from './read.js'
import { openArray, openObject } from './record.js'
import { indexOf } from './shapes.js'
import { json } from './type.js'
import { watched } from '../watch.js'
import { deleteKey, setElement, setKey } from './update.js'
import { IS_ARRAY, plainOf } from './whole.js'

const inspectSymbol = Symbol.for('nodejs.util.inspect.custom')

/** What both kinds of handler have; themselves the views behind the proxies. */
class Node implements Located {
  declare readonly [REGION]: Region
  declare readonly [WORD]: number
  declare readonly [TYPE]: unknown
  declare [HOLD]: Hold | undefined

  constructor(region: Region, word: number) {
    this[REGION] = region
    this[WORD] = word
  }

  symbol(key: symbol, target: object): unknown {
    if (key === BEHIND) return this
    if (key === REGION) return this[REGION]
    if (key === WORD) return this[WORD]
    if (key === TYPE) return json
    if (key === HOLD) return this[HOLD]
    if (key === Symbol.dispose) return dispose
    return Reflect.get(target, key)
  }

  has(target: object, key: string | symbol): boolean {
    return typeof key === 'symbol' ? key === TYPE || key === Symbol.dispose || Reflect.has(Object.getPrototypeOf(target) as object, key)
      : this.hasOwn(key) || Reflect.has(Object.getPrototypeOf(target) as object, key)
  }

  hasOwn(_key: string): boolean {
    return false
  }

  preventExtensions(): never {
    throw new RpcError('FAILED_PRECONDITION', 'a view of json cannot be frozen or sealed, since its memory is not its own: freeze plain(view)')
  }

  setPrototypeOf(): boolean {
    return false
  }

  defineProperty(target: object, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    const { configurable, enumerable, writable } = descriptor
    if (!('value' in descriptor) || configurable === false || enumerable === false || writable === false) {
      throw new RpcError('INVALID_ARGUMENT', `${String(key)}: a property of json has a value, and is neither hidden nor fixed`)
    }
    return this.set(target, key, descriptor.value)
  }

  set(_target: object, key: string | symbol, value: unknown): boolean {
    if (key !== HOLD) return false
    this[HOLD] = value as Hold
    return true
  }
}

function dispose(this: { readonly [HOLD]?: Hold }): void {
  this[HOLD]?.release()
}

function toJSON(this: object): unknown {
  return plainOf(this)
}

class ObjectNode extends Node implements ProxyHandler<object> {
  get(target: object, key: string | symbol): unknown {
    if (typeof key === 'symbol') return this.symbol(key, target)
    const object = openObject(this[REGION], this[WORD])
    const p = cellOfKey(object, key)
    if (p >= 0) return readCell(object.region, p, proxies)
    return key === 'toJSON' ? toJSON : Reflect.get(Object.prototype, key)
  }

  override set(target: object, key: string | symbol, value: unknown): boolean {
    if (typeof key === 'symbol') return super.set(target, key, value)
    setKey(this[REGION], this[WORD], key, value)
    return true
  }

  override hasOwn(key: string): boolean {
    return cellOfKey(openObject(this[REGION], this[WORD]), key) >= 0
  }

  deleteProperty(_target: object, key: string | symbol): boolean {
    if (typeof key === 'string') deleteKey(this[REGION], this[WORD], key)
    return true
  }

  ownKeys(): string[] {
    return keysOf(openObject(this[REGION], this[WORD]))
  }

  getOwnPropertyDescriptor(_target: object, key: string | symbol): PropertyDescriptor | undefined {
    if (typeof key === 'symbol') return undefined
    const object = openObject(this[REGION], this[WORD])
    const p = cellOfKey(object, key)
    return p < 0 ? undefined : { value: readCell(object.region, p, proxies), writable: true, enumerable: true, configurable: true }
  }
}

class ArrayNode extends Node implements ProxyHandler<unknown[]> {
  get(target: unknown[], key: string | symbol): unknown {
    if (typeof key === 'symbol') return key === Symbol.iterator ? arrayMethod('values') : this.symbol(key, target)
    const index = indexOf(key)
    if (index >= 0) {
      const array = openArray(this[REGION], this[WORD])
      return index < array.count ? readCell(array.region, array.word + RECORD_WORDS + index * 2, proxies) : undefined
    }
    if (key === 'length') return openArray(this[REGION], this[WORD]).count
    return key === 'toJSON' ? toJSON : arrayMethod(key)
  }

  override set(target: object, key: string | symbol, value: unknown): boolean {
    if (typeof key === 'symbol') return super.set(target, key, value)
    const index = indexOf(key)
    if (index >= 0) setElement(this[REGION], this[WORD], index, value)
    else if (key === 'length') assignLength(this, value)
    else refuseProperty(key)
    return true
  }

  override hasOwn(key: string): boolean {
    const index = indexOf(key)
    return index >= 0 ? index < openArray(this[REGION], this[WORD]).count : key === 'length'
  }

  // An array of JSON has no holes: taking an element out leaves null.
  deleteProperty(_target: object, key: string | symbol): boolean {
    const index = typeof key === 'string' ? indexOf(key) : -1
    if (key === 'length') return false
    if (index >= 0 && index < openArray(this[REGION], this[WORD]).count) setElement(this[REGION], this[WORD], index, null)
    return true
  }

  ownKeys(): string[] {
    const { count } = openArray(this[REGION], this[WORD])
    const keys = Array.from({ length: count }, (_, i) => String(i))
    keys.push('length')
    return keys
  }

  getOwnPropertyDescriptor(_target: object, key: string | symbol): PropertyDescriptor | undefined {
    if (typeof key === 'symbol') return undefined
    const array = openArray(this[REGION], this[WORD])
    if (key === 'length') return { value: array.count, writable: true, enumerable: false, configurable: false }
    const index = indexOf(key)
    if (index < 0 || index >= array.count) return undefined
    return { value: readCell(array.region, array.word + RECORD_WORDS + index * 2, proxies), writable: true, enumerable: true, configurable: true }
  }
}

Object.defineProperty(Node.prototype, TYPE, { value: json })
Object.defineProperty(ArrayNode.prototype, IS_ARRAY, { value: true })

function inspectProxy(this: Located, depth: number, options: object, inspect: (value: unknown, options: object) => string): string {
  return inspectNode((this as unknown as { readonly [BEHIND]: Located })[BEHIND], depth, options, inspect)
}

// All proxies share these: nothing is ever stored in them. node's inspection looks at the target, not at the proxy.
const objectTarget: object = Object.defineProperty({}, inspectSymbol, { value: inspectProxy, configurable: true })
const arrayTarget: unknown[] = Object.defineProperty([], inspectSymbol, { value: inspectProxy, configurable: true })

const ObjectHandler = watched(ObjectNode)
const ArrayHandler = watched(ArrayNode)

/** Objects and arrays as proxies. */
export const proxies: Form = {
  object: (region, word) => new Proxy(objectTarget, new ObjectHandler(region, word)),
  array: (region, word) => new Proxy(arrayTarget, new ArrayHandler(region, word)),
}
