/** Words of a struct: its header counts them in 16 bits. */
export const MAX_STRUCT_WORDS = 0xffff
/** Fields of a struct: beyond this a map serves better, and the generated class would be slow to compile. */
export const MAX_FIELDS = 1024
/** Characters of a struct's, field's or variant's name: names travel with every connection's fingerprint. */
export const MAX_NAME_LENGTH = 100
/** Alternatives of a union. */
export const MAX_VARIANTS = 256
/** Code units of a text: V8's longest string is 2^29 - 24. */
export const MAX_TEXT_UNITS = 0x1fff_ffe8
/** Lists, maps and unions inside one another by value: each level is a few frames of the JavaScript stack. */
export const MAX_NESTING = 400
/** Objects and elements that one walk of the library (plain, copyGraph, release) visits unless told otherwise: some GB of them. */
export const MAX_WALK_NODES = 1 << 25
/** Steps of a search in an index with at most half of it in use: longer runs mean damage or an attack on the hash. */
export const MAX_PROBES = 4096
/** Most elements of a list: its length is 32 bits wide. */
export const MAX_LIST_LENGTH = 0xffff_ffff
