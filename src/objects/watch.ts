// The debug mode's eye on views: each use of one asks whether its memory was freed. Without RPCOOL_DEBUG=heap nothing of it exists.
import { heapDebug } from '../memory/heap-debug.js'
import type { Region } from '../memory/region.js'
import type { Emitter } from './emit.js'
import { REGION, TYPE, WORD } from './view.js'

type ViewClass<View extends object> = new (region: Region, word: number) => View

/** The class itself; in the debug mode one under it, whose views look before each use: whoever uses a view asks for its word. */
export function watched<View extends object>(viewClass: ViewClass<View>): ViewClass<View> {
  if (heapDebug === null) return viewClass
  const Watched = class extends (viewClass as ViewClass<object>) {
    constructor(region: Region, word: number) {
      super(region, word)
      watch(this, region, word)
    }
  }
  Object.defineProperty(Watched, 'name', { value: viewClass.name })
  return Watched as ViewClass<View>
}

/** In the debug mode a class under it whose views are Proxies: for uses that a class does not see, and that must not pass in silence. */
export function guarded<View extends object>(viewClass: ViewClass<View>, guard: ProxyHandler<View>): ViewClass<View> {
  if (heapDebug === null) return viewClass
  const Guarded = class extends (viewClass as ViewClass<object>) {
    constructor(region: Region, word: number) {
      super(region, word)
      return new Proxy<object>(this, guard)
    }
  }
  Object.defineProperty(Guarded, 'name', { value: viewClass.name })
  return Guarded as ViewClass<View>
}

/** Statements of a generated constructor that keep the view's region `r` and word `w`. */
export function emitKeep(emitter: Emitter): string {
  emitter.named('REGION', REGION)
  emitter.named('WORD', WORD)
  if (heapDebug === null) return 'this[REGION] = r; this[WORD] = w'
  emitter.named('watch', watch)
  return 'this[REGION] = r; this[WORD] = w; watch(this, r, w)'
}

/** Looks as every use does: for what has kept a view's place and goes on without it. */
export function askFor(view: { readonly [WORD]: number }): void {
  if (heapDebug !== null) Reflect.get(view, WORD)
}

function watch(view: object, region: Region, word: number): void {
  Object.defineProperty(view, WORD, {
    get: () => {
      heapDebug?.check(region, word, 'use', (view as { readonly [TYPE]?: { readonly label: string } })[TYPE]?.label)
      return word
    },
  })
}
