import { ARRAY, RECORD_WORDS } from '../../layout/json-layout.js'
import { guarded } from '../protocol.js'
import { REGION, TYPE, WORD, type Located } from '../view.js'
import { cellOfKey, type Form, keysOf, readCell } from './read.js'
import { openArray, openObject } from './record.js'
import { tagOf } from './whole.js'

const inspectSymbol = Symbol.for('nodejs.util.inspect.custom')

type Inspect = (value: unknown, options: object) => string

/** Keys and elements that inspection looks at: a peer's array may claim millions. */
const INSPECTED = 100

/** How console.log shows a view of json: as the plain value, one level after the other. Never throws for what a peer wrote. */
export function inspectNode(view: Located, depth: number, options: object, inspect: Inspect): string {
  const isArray = tagOf(view) === ARRAY
  if (depth < 0) return isArray ? '[Array]' : '[Object]'
  return inspect(isArray ? elements(view) : fields(view), { ...options, depth })
}

function fields({ [REGION]: region, [WORD]: word }: Located): unknown {
  return guarded(() => {
    const shown: Record<string, unknown> = {}
    for (const key of keysOf(openObject(region, word)).slice(0, INSPECTED)) {
      const value = guarded(() => {
        const object = openObject(region, word)
        const p = cellOfKey(object, key)
        return p < 0 ? undefined : readCell(object.region, p, inspected)
      })
      Object.defineProperty(shown, key, { value, enumerable: true })
    }
    return shown
  })
}

function elements({ [REGION]: region, [WORD]: word }: Located): unknown {
  return guarded(() => {
    const { count } = openArray(region, word)
    const shown: unknown[] = []
    for (let i = 0; i < count && i < INSPECTED; i++) {
      shown.push(guarded(() => {
        const array = openArray(region, word)
        return i < array.count ? readCell(array.region, array.word + RECORD_WORDS + i * 2, inspected) : undefined
      }))
    }
    if (count > INSPECTED) shown.push(`… ${count - INSPECTED} more`)
    return shown
  })
}

/** A value inside an inspected one: shown in its turn, as deep as was asked. */
class Inspected {
  constructor(readonly located: Located, readonly isArray: boolean) {}

  [inspectSymbol](depth: number, options: object, inspect: Inspect): string {
    if (depth < 0) return this.isArray ? '[Array]' : '[Object]'
    return inspect(this.isArray ? elements(this.located) : fields(this.located), { ...options, depth })
  }
}

const inspected: Form = {
  object: (region, word) => new Inspected({ [REGION]: region, [WORD]: word, [TYPE]: null }, false),
  array: (region, word) => new Inspected({ [REGION]: region, [WORD]: word, [TYPE]: null }, true),
}
