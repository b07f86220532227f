// What the dying clients hand over, and what of it there must be.
import type { SyncStore } from '../../../apps/document-store/client.js'
import type { Json } from '../../../apps/document-store/store/values.js'
import { bodyOf } from './churn.js'

/** What came of one client. */
export interface Report {
  readonly what: string
  /** How many stores it made: in all, or of those after its last document was built. None for one that did not die. */
  readonly kill: number | null
  readonly done: boolean
}

export const BEFORE = 1
export const AFTER = 2
export const TEXT_AFTER = 'a text that takes a record, in the place of another'

/** What each does under its name. */
export const works: Readonly<Record<string, (store: SyncStore, name: string) => void>> = {
  put: (store, name) => { store.put(name, bodyOf(name, AFTER)) },
  replace: (store, name) => { store.put(name, bodyOf(name, AFTER)) },
  putAll: (store, name) => store.putAll(keysOf('putAll', name).map((key) => [key, bodyOf(key, AFTER)] as const)),
  update: (store, name) => { store.update(name, 'text', TEXT_AFTER) },
}

/** @param kill after how many stores; Infinity for none. */
export function nameOf(what: string, kill: number): string {
  return `${what} ${kill}`
}

export function keysOf(what: string, name: string): readonly string[] {
  return what === 'putAll' ? [`${name} a`, `${name} b`, `${name} c`] : [name]
}

/** What lies under a key before; undefined for nothing. */
export function before(what: string, key: string): Json | undefined {
  return what === 'put' || what === 'putAll' ? undefined : bodyOf(key, BEFORE)
}

export function after(what: string, key: string): Json {
  return what === 'update' ? { ...bodyOf(key, BEFORE), text: TEXT_AFTER } : bodyOf(key, AFTER)
}
