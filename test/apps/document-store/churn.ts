// The documents of the churning clients: what is in one follows from its key and version.
import type { Json } from '../../../apps/document-store/store/values.js'

export const KEYS = 400
export const TAGS = 10
/** Paths whose indexes come and go. */
export const INDEXED = ['text', 'key', 'nested.deep.flag', 'nested.list'] as const

export function bodyOf(key: string, version: number): { readonly [name: string]: Json } & { key: string } {
  return { key, version, tag: `t${version % TAGS}`, text: textOf(key, version), nested: { list: [version, key, null], deep: { flag: version % 2 === 0 } } }
}

export function textOf(key: string, version: number): string {
  return `${key}:${version}|`.repeat(2 + version % 40)
}
