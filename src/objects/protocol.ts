import { RpcError } from '../base/errors.js'
import type { Region } from '../memory/region.js'
import { codecOf, type AnyType, type Codec } from './codec.js'
import { toJson } from './graph/plain.js'
import type { MapView, SequenceView, SetView, SharedView } from './views.js'
import { watched } from './watch.js'
import { ACCESS, HOLD, TYPE, type Hold, type Located } from './view.js'

const inspectSymbol = Symbol.for('nodejs.util.inspect.custom')
type Inspect = (value: unknown, options: object) => string

/** Elements of a list or map that inspection looks at: a peer's list may claim billions. */
const INSPECTED_ELEMENTS = 100

/** Gives a view class's prototype its type, `toJSON`, `Symbol.dispose`, and the way console.log shows it. */
export function installProtocol(prototype: object, type: AnyType): void {
  define(prototype, TYPE, type)
  define(prototype, 'toJSON', function toJSON(this: object): unknown {
    return toJson(this)
  })
  define(prototype, Symbol.dispose, function dispose(this: { readonly [HOLD]?: Hold }): void {
    this[HOLD]?.release()
  })
  define(prototype, inspectSymbol, function inspectView(this: object, depth: number, options: object, inspect: Inspect): string {
    if (depth < 0) return `[${type.label}]`
    const show = (shown: unknown): string => `${type.label} ${inspect(shown, { ...options, depth })}`
    if (type.kind !== 'shared') return show(surface(this, type))
    // All of it is shown inside of the read: what lies deeper is dead afterwards.
    return String(guarded(() => (this as SharedView<object>).read((content) => show(surface(content, (content as Located)[TYPE] as AnyType)))))
  })
}

/** The views of one container type: a class of their own under `Base`, which finds the type's codec under {@link ACCESS}. */
export function viewClassOf<View extends object>(Base: new (region: Region, word: number) => View, codec: Codec): new (region: Region, word: number) => View {
  const viewClass = class extends (Base as new (region: Region, word: number) => object) {}
  Object.defineProperty(viewClass.prototype, ACCESS, { value: codec })
  installProtocol(viewClass.prototype, codec.type)
  Object.defineProperty(viewClass, 'name', { value: codec.type.label })
  return watched(viewClass) as new (region: Region, word: number) => View
}

function define(prototype: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(prototype, key, { value, configurable: true })
}

/** The view's fields or elements, one level deep: console.log goes on from there, as deep as it likes. */
function surface(view: object, type: AnyType): unknown {
  if (type.kind === 'map' || type.kind === 'sortedMap') return guarded(() => surfaceOfMap(view as MapView<unknown, unknown>))
  if (type.kind === 'set') return guarded(() => surfaceOfSet(view as SetView<unknown>))
  if (type.kind === 'list' || type.kind === 'array') return guarded(() => surfaceOfSequence(view as SequenceView<unknown>))
  const shown: Record<string, unknown> = {}
  for (const name of codecOf(type).fieldNames) shown[name] = guarded(() => Reflect.get(view, name) as unknown)
  return shown
}

function surfaceOfSequence(sequence: SequenceView<unknown>): unknown[] {
  const shown: unknown[] = []
  for (let i = 0; i < sequence.length && i < INSPECTED_ELEMENTS; i++) shown.push(sequence.at(i))
  if (sequence.length > INSPECTED_ELEMENTS) shown.push(`… ${sequence.length - INSPECTED_ELEMENTS} more`)
  return shown
}

function surfaceOfMap(map: MapView<unknown, unknown>): Map<unknown, unknown> {
  const shown = new Map<unknown, unknown>()
  for (const [key, value] of map) {
    if (shown.size === INSPECTED_ELEMENTS) break
    shown.set(key, value)
  }
  return shown
}

function surfaceOfSet(set: SetView<unknown>): Set<unknown> {
  const shown = new Set<unknown>()
  for (const key of set) {
    if (shown.size === INSPECTED_ELEMENTS) break
    shown.add(key)
  }
  return shown
}

/** Looking at an object in a debugger must not throw, whatever a peer wrote there. */
export function guarded(look: () => unknown): unknown {
  try {
    return look()
  } catch (error) {
    if (RpcError.is(error)) return `<${error.message}>`
    throw error
  }
}
