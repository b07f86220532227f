// A map grows piece by piece: what one insertion takes and changes is counted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, map, set, text, u32, type AnyType } from '../../src/objects/index.js'
import { journal } from '../../src/objects/shared/journal.js'
import { Arena } from '../support/arena.js'

const ENTRIES = 40_000

/** Counts the words that are allocated, and those of what was there already that are about to be changed. */
class Counted extends Arena {
  words = 0

  override allocate(byteLength: number): number {
    this.words += byteLength / 4
    return super.allocate(byteLength)
  }
}

/** Words that each of so many insertions costs. */
function costs(arena: Counted, insert: (i: number) => void): { readonly each: Float64Array, readonly all: number } {
  const each = new Float64Array(ENTRIES)
  journal.current = { save: (_region: unknown, _word: number, words: number) => { arena.words += words }, allocatorFor: () => arena } as never
  try {
    for (let i = 0; i < ENTRIES; i++) {
      const before = arena.words
      insert(i)
      each[i] = arena.words - before
    }
  } finally {
    journal.current = null
  }
  return { each, all: arena.words }
}

/** More than it takes to split a segment of the index and to add a chunk of entries. */
const PIECE_WORDS = 2500
/** More than the two directories, doubled at once, have for each entry. A rebuilt index would take two words at the least. */
const DIRECTORY_WORDS = 1 / 4

const key = (i: number): string => `the key of number ${i}`
const kinds: ReadonlyArray<readonly [AnyType, (view: never, i: number) => void]> = [
  [map(text, u32), (view: Map<string, number>, i) => view.set(key(i), i)],
  [map(u32, text), (view: Map<number, string>, i) => view.set(i, 'short')],
  [set(text), (view: Set<string>, i) => view.add(key(i))],
]
for (const [type, insert] of kinds) {
  test(`no insertion into ${type.label} moves more than a bounded part of it`, () => {
    const arena = new Counted(1 << 24)
    const view: never = build(type, arena, [] as never)
    const { each, all } = costs(arena, (i) => insert(view, i))
    // Which of it falls together in one insertion depends on the map's seed.
    const worst = each.findIndex((words, i) => words >= PIECE_WORDS + i * DIRECTORY_WORDS)
    assert.equal(worst, -1, `insertion ${worst} took ${each[worst]} words, ${all} words were taken in all`)
    const larger = each.filter((words) => words > PIECE_WORDS).length
    assert.ok(larger < 20, `${larger} insertions took more than ${PIECE_WORDS} words`)
    assert.ok(all / ENTRIES < 120, `${all / ENTRIES} words an insertion`)
    assert.equal((view as { readonly size: number }).size, ENTRIES)
  })
}
