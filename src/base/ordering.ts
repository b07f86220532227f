/*
 * Publishing words of shared memory, and looking for what others publish.
 *
 * On x86-64 an aligned load is an acquire load and a store a release store, and V8 neither moves nor merges accesses to the
 * elements of a typed array. `Atomics.load` and `Atomics.store` are calls of built-in functions there (5 and 10 ns in Node 20
 * to 26), the store with a full fence that waits until the line is ours: several of them lie on the path of every call. Other
 * engines move plain accesses out of loops, and other processors past each other: they get the Atomics.
 */
const plainAccessIsOrdered = process.arch === 'x64' && process.versions['bun'] === undefined

const ownWord = new Int32Array(1)

/** Loads a word that another thread publishes: what that thread stored before it is visible to loads after this one. */
export const loadPublished: (words: Int32Array, index: number) => number =
  plainAccessIsOrdered ? (words, index) => words[index]! : Atomics.load

/**
 * Stores a word that another thread awaits: whoever sees it sees all that was stored before it. Loads after it may still be
 * made before it is visible: see {@link fence}.
 */
export const publishWord: (words: Int32Array, index: number, value: number) => void =
  plainAccessIsOrdered ? (words, index, value) => { words[index] = value } : Atomics.store

/** What {@link publishWord} stored is visible before any {@link loadPublished} after the fence is made. */
export const fence: () => void =
  plainAccessIsOrdered ? () => { Atomics.store(ownWord, 0, 0) } : () => undefined

const pauseProcessor = (Atomics as { readonly pause?: () => void }).pause

/**
 * Some 15 ns between two looks at a word that a peer is about to publish. Whoever looks more often takes the line away from
 * the peer that is writing it, and gets the answer later (measured: a fifth of a round trip).
 */
export const pause: () => void = pauseProcessor === undefined
  ? () => {
    Atomics.load(ownWord, 0)
    Atomics.load(ownWord, 0)
  }
  : () => pauseProcessor()
