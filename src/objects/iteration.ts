// The iterators of views can do whatever the engine's own can: where it has the helpers of ES2025 (map, filter, take …), they have them.

/** What an array's `values()` gives, in the words of whichever TypeScript the reader has. */
export type Steps<T> = ReturnType<T[]['values']>

const iteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf([].values()) as object) as object

/** @internal The base of all iterators over views. */
export abstract class Iteration<T> implements IterableIterator<T> {
  abstract next(): IteratorResult<T, undefined>

  [Symbol.iterator](): this {
    return this
  }
}

Object.setPrototypeOf(Iteration.prototype, iteratorPrototype)
