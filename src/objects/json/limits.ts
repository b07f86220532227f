/** Objects and arrays inside one another. Walks recurse, up to half a KB of stack a level. */
export const MAX_JSON_DEPTH = 1000
/** Elements of an array, entries of a dictionary: half a GiB of cells. */
export const MAX_JSON_LENGTH = 1 << 26
/** Keys of a shape. An object with more is used as a dictionary. */
export const MAX_SHAPE_KEYS = 128
/** Words of a shape: longer keys are not those of a record either. */
export const MAX_SHAPE_WORDS = 1024
/** Shapes of one heap, for ever: at most 8 MB, most often some 300 bytes each. Beyond, objects are dictionaries. */
export const MAX_SHAPES_MADE = 2048
/** Keys in the tree by which a member finds its shapes again. */
export const MAX_TREE_NODES = 1 << 15
/** Shapes that a reader knows at once; when there are more, it forgets all and starts afresh. */
export const MAX_SHAPES_KNOWN = 8192
/** Keys for which a getter is compiled; others are looked up. */
export const MAX_COMPILED_KEYS = 1024
/** Texts prepared for searching that are kept. */
export const MAX_KEPT_KEYS = 4096
/** From this many entries on a dictionary has an index. */
export const INDEXED_FROM = 9
/** Words of a text that its fingerprint and hash cover. */
export const HASHED_WORDS = 64
