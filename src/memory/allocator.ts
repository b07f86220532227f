// Declared beside Region, which holds one: the two know each other.
export type { Allocator } from './region.js'
