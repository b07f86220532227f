// A service whose handlers are told by every reading of their argument whether it changed under them.
import { bytes, list, map, method, plain, ref, service, struct, text, u32, type View } from '../../src/index.js'

export const Shaky = struct('Shaky', {
  id: u32, name: text, tags: list(text), counts: map(text, u32), raw: bytes, get next() { return ref(Shaky) },
})

export const Isolated = service('isolated', {
  atOnce: method(1, Shaky, u32, { isolation: 'snapshot' }),
  later: method(2, Shaky, u32, { isolation: 'snapshot' }),
  healthy: method(3, Shaky, u32, { isolation: 'snapshot' }),
})

const MAX_NODES = 2000

/** Everything that can be read of an argument, or the error that reading ends in. */
export function reading(node: View<typeof Shaky>): string {
  try {
    return JSON.stringify(plain(node, { maxNodes: MAX_NODES }))
  } catch (error) {
    return String(error)
  }
}

export function makeShaky(id: number): { id: number, name: string, tags: string[], counts: Map<string, number>, raw: Uint8Array, next: object | null } {
  const node = (next: object | null): ReturnType<typeof makeShaky> => ({
    id, name: `the name of node ${id}`, tags: ['a tag of some length', 'b'], counts: new Map([['a key with memory', id]]), raw: new Uint8Array(100).fill(id), next,
  })
  return node(node(node(null)))
}
