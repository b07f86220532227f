// Objects and arrays of json for hot loops: one class for all objects, with a compiled getter for each key that is ever read.
import { RpcError } from '../../base/errors.js'
import { INT, OBJECT, RECORD_WORDS } from '../../layout/json-layout.js'
import type { Region } from '../../memory/region.js'
import { Emitter } from '../emit.js'
import { BEHIND, HOLD, type Hold, REGION, TYPE, WORD, type Located } from '../view.js'
import { arrayMethod, assignLength, refuseProperty } from './array-methods.js'
import { inspectNode } from './inspect.js'
import { emitFind, emitWalk, Walk } from './key-code.js'
import { cellOfKey, type Form, readCell, valueOf } from './read.js'
import { openArray, openObject } from './record.js'
import { indexOf, slotTable } from './shapes.js'
import { json } from './type.js'
import { guarded, watched } from '../watch.js'
import { setElement, setKey } from './update.js'
import { IS_ARRAY, plainOf } from './whole.js'

const inspectSymbol = Symbol.for('nodejs.util.inspect.custom')

function lookUp(self: Located, key: string): unknown {
  const object = openObject(self[REGION], self[WORD])
  const p = cellOfKey(object, key)
  return p < 0 ? undefined : readCell(object.region, p, fastForm)
}

// At the end of the class's prototype chain: sees the keys that have no getter yet, or never get one.
const otherKeys: ProxyHandler<object> = {
  get(_target, key, receiver: Located): unknown {
    if (typeof key === 'symbol') return undefined
    const value = lookUp(receiver, key)
    compileKey(receiver, key)
    return value
  },
  set(_target, key, value, receiver: Located): boolean {
    if (typeof key === 'symbol') return Reflect.defineProperty(receiver, key, { value, writable: true, configurable: true })
    setKey(receiver[REGION], receiver[WORD], key, value)
    return true
  },
  has: () => false,
  getPrototypeOf: () => null,
}

// At the end of the chain of arrays: elements by index, and Array's methods, which ask with `in` for each index below the length. `at` and iteration
// are the fast ways.
const elementsAndMethods: ProxyHandler<object> = {
  get(_target, key, receiver: FastArray): unknown {
    if (typeof key === 'symbol') return key === Symbol.isConcatSpreadable ? true : undefined
    const index = indexOf(key)
    return index >= 0 ? receiver.at(index) : arrayMethod(key)
  },
  set(_target, key, value, receiver: FastArray): boolean {
    if (typeof key === 'symbol') return Reflect.defineProperty(receiver, key, { value, writable: true, configurable: true })
    const index = indexOf(key)
    if (index < 0) refuseProperty(key)
    receiver.set(index, value)
    return true
  },
  has: (_target, key) => typeof key === 'string' && indexOf(key) >= 0,
  getPrototypeOf: () => null,
}

class FastObject implements Located {
  // Defined as fields, and not first by the constructor's stores: those would look for setters, as far as the Proxy.
  readonly [REGION]: Region
  readonly [WORD]: number
  declare readonly [TYPE]: unknown
  declare readonly [HOLD]?: Hold

  constructor(region: Region, word: number) {
    this[REGION] = region
    this[WORD] = word
  }
}

class FastArray implements Located, Iterable<unknown> {
  // Defined as fields, and not first by the constructor's stores: those would look for setters, as far as the Proxy.
  readonly [REGION]: Region
  readonly [WORD]: number
  declare readonly [TYPE]: unknown
  declare readonly [HOLD]?: Hold

  constructor(region: Region, word: number) {
    this[REGION] = region
    this[WORD] = word
  }

  get length(): number {
    return openArray(this[REGION], this[WORD]).count
  }

  set length(length: number) {
    assignLength(this, length)
  }

  at(index: number): unknown {
    const array = openArray(this[REGION], this[WORD])
    const i = index < 0 ? index + array.count : index
    return i >>> 0 === i && i < array.count ? readCell(array.region, array.word + RECORD_WORDS + i * 2, fastForm) : undefined
  }

  set(index: number, value: unknown): void {
    setElement(this[REGION], this[WORD], index, value)
  }

  *[Symbol.iterator](): IterableIterator<unknown> {
    for (let i = 0; i < this.length; i++) yield this.at(i)
  }
}

Reflect.deleteProperty(FastObject.prototype, 'constructor')
for (const prototype of [FastObject.prototype, FastArray.prototype] as const) {
  Object.defineProperty(prototype, TYPE, { value: json.fast })
  // Found here, it is not looked for behind the prototype.
  Object.defineProperty(prototype, BEHIND, { value: undefined })
  Object.defineProperty(prototype, HOLD, { value: undefined, writable: true })
  Object.defineProperty(prototype, IS_ARRAY, { value: prototype === FastArray.prototype })
  Object.defineProperty(prototype, Symbol.dispose, { value: dispose })
  Object.defineProperty(prototype, inspectSymbol, { value: inspectFast })
}
Object.defineProperty(FastArray.prototype, 'toJSON', { value: toJSON })
Object.defineProperty(FastObject.prototype, 'toJSON', {
  get(this: Located) {
    return lookUp(this, 'toJSON') ?? toJSON
  },
})
Object.setPrototypeOf(FastObject.prototype, new Proxy({}, otherKeys))
Object.setPrototypeOf(FastArray.prototype, new Proxy({}, elementsAndMethods))

function dispose(this: FastObject): void {
  this[HOLD]?.release()
}

function toJSON(this: object): unknown {
  return plainOf(this)
}

function inspectFast(this: FastObject, depth: number, options: object, inspect: (value: unknown, options: object) => string): string {
  return inspectNode(this, depth, options, inspect)
}

// No class sees `delete` and `in` of keys that its objects do not have themselves: JavaScript answers by itself, and wrongly. A Proxy for each
// object would see them, and takes twice the time of reading: only the debug mode has one.
const ObjectView = guarded(watched(FastObject), {
  deleteProperty(_view, key): boolean {
    if (typeof key === 'symbol') return true
    throw new RpcError('FAILED_PRECONDITION', `delete of ${JSON.stringify(key)} does nothing on a fast view of json: assign undefined, or use a view that is not fast`)
  },
  has(view, key): boolean {
    if (typeof key === 'symbol') return Reflect.has(view, key)
    throw new RpcError('FAILED_PRECONDITION', `${JSON.stringify(key)} in a fast view of json says nothing: compare what it reads with undefined, or use a view that is not fast`)
  },
})
const ArrayView = watched(FastArray)

/** Objects and arrays for hot loops. */
export const fastForm: Form = {
  object: (region, word) => new ObjectView(region, word),
  array: (region, word) => new ArrayView(region, word),
}

/** Statements that return the object that the cell (`v`, `h`) of region `r` points to, when it lies there: the common case without a call. */
export function emitNearObject(emitter: Emitter): string {
  emitter.named('FastObject', ObjectView)
  return `if (h === (${OBJECT << 16} | r.high) && (e = ((v & -8) - r.low) >>> 2) <= r.words - ${RECORD_WORDS}) {
if (--r.budget < 0) r.spent()
return new FastObject(r, e + r.shift)
}`
}

/** Gives the class a getter and setter for a key, as long as there are tables for more keys. */
function compileKey(self: Located, key: string): void {
  const table = slotTable(key)
  if (table === undefined || Object.hasOwn(FastObject.prototype, key)) return
  const object = openObject(self[REGION], self[WORD])
  const likely = object.shape?.slotOf(key) ?? -1
  const p = cellOfKey(object, key)
  const first = p < 0 ? 0 : object.region.i32[p + 1]! >> 16
  const emitter = new Emitter()
  emitter.named('REGION', REGION)
  emitter.named('WORD', WORD)
  const finish = (region: Region, lo: number, hi: number): unknown => valueOf(region, lo, hi, fastForm)
  emitter.named('finish', finish)
  emitter.named('walk', new Walk([key], undefined, finish))
  const compiled = emitter.compile(`function () {
var r = this[REGION], w = this[WORD], a = r.i32, s, p, e, t, v, h
${emitFind(emitter, table, likely)}
${first === OBJECT ? emitNearObject(emitter) : ''}
return h === ${INT << 16} ? v : finish(r, v, h)
}
${emitWalk('walk', 0)}
}`)
  Object.defineProperty(FastObject.prototype, key, {
    get: compiled.value as () => unknown,
    set(this: Located, value: unknown) {
      setKey(this[REGION], this[WORD], key, value)
    },
    configurable: true,
  })
}
