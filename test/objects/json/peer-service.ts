import { json, method, nothing, service, struct, text, u32 } from '../../../src/index.js'

export const Holder = struct('Holder', { document: json.of<Record<string, unknown>>() })

export const Documents = service('documents', {
  describe: method(1, json.of<Record<string, unknown>>(), text),
  change: method(2, json.of<Record<string, unknown>>(), nothing),
  make: method(3, u32, json.of<Record<string, unknown>>()),
  echo: method(4, json.of<unknown>(), json.of<unknown>()),
  keep: method(5, Holder, nothing),
  read: method(6, text, text),
})

/** A document with so many objects inside one another. */
export function nested(depth: number): Record<string, unknown> {
  return depth === 0 ? { end: 'of the document' } : { depth, name: `level ${depth}`, inner: nested(depth - 1) }
}
