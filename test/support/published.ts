// What a test's publisher serves: a shelf in a heap that clients can only read.
import { bytes, list, map, method, nothing, ref, service, struct, text, u32 } from '../../src/index.js'

export const Shelf = struct('Shelf', {
  name: text, books: list(u32), prices: map(text, u32), cover: bytes, get next() { return ref(Shelf) },
})

export const Library = service('library', {
  shelf: method(1, nothing, ref(Shelf)),
  rename: method(2, text, nothing),
  countBooks: method(3, ref(Shelf), u32),
  /** A shelf of the client's own that points to the published one. */
  countNextBooks: method(4, Shelf, u32),
})
