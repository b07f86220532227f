import type { Found, Json } from './values.js'

/**
 * How a store reads and changes documents, wherever they lie: in shared memory, or as plain objects. The store never asks
 * what a document is made of.
 */
export interface Documents<D> {
  /** Stands where there is no document; of the same kind as documents, so that many of them lie side by side as they are. */
  readonly absent: D
  /** What {@link reader}s read: got once for each document that is looked at. */
  body(document: D): unknown
  /** Makes the reader of a path; made once for each path, and called for the bodies of many documents. */
  reader(path: string): Reader
  /**
   * Replaces the value at a path in place, or adds it to the object that holds it.
   * @throws RangeError when there is no such object.
   */
  assign(document: D, path: string, value: Json): void
}

/** Says what a path leads to in a document's body. */
export type Reader = (body: unknown) => Found
