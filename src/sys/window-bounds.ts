import { makeAddress } from '../base/numbers.js'

/** The reserved window: above V8's own range. The first 4 GiB hold the process's table of mappings, and local mappings. */
export const WINDOW_BASE = makeAddress(0x4000, 0)
export const WINDOW_END = makeAddress(0x5400, 0)
export const HEAPS_BASE = makeAddress(0x4001, 0)
