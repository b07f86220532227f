// Documents whose texts are very long, and documents of very many values: built, parsed, read back and freed.
import assert from 'node:assert/strict'
import { Heap, HeapSet } from '../../../src/memory/index.js'
import { buildJson, parseJson, plain, release } from '../../../src/objects/index.js'
import { HEAPS_BASE } from '../../../src/sys/index.js'

/** Units that repeat, by what is particular about them. */
const PARTS: Readonly<Record<string, string>> = {
  'one byte a unit': 'ascii and \u00e9 of latin-1, ',
  'two bytes a unit': 'κείμενο, ',
  'pairs of surrogates': 'a 😀 b',
  'what JSON escapes': 'x\n"\\\u0001',
}

/** Tries texts that take so many bytes in memory. @returns what was tried. */
export function tryLargeTexts(byteLength: number): readonly string[] {
  for (const [name, part] of Object.entries(PARTS)) {
    const units = byteLength / (/^[\0-\xff]*$/.test(part) ? 1 : 2)
    tryDocument(byteLength, { before: 1, text: part.repeat(Math.ceil(units / part.length)), after: 'the end' }, name)
  }
  // Some 60 bytes of text each.
  const rows = Array.from({ length: byteLength / 60 }, (_, i) => ({ id: i, name: `the name of row ${i}`, even: i % 2 === 0 }))
  tryDocument(byteLength, { rows }, 'very many values')
  return [...Object.keys(PARTS), 'very many values']
}

function tryDocument(byteLength: number, value: Readonly<Record<string, unknown>>, name: string): void {
  const heaps = new HeapSet((space) => new Heap(new ArrayBuffer(byteLength * 4), HEAPS_BASE, 1, space))
  const text = JSON.stringify(value)
  // Node's comparison of long strings prints both when they differ.
  const same = (view: unknown, how: string): void => {
    assert.ok(JSON.stringify(view) === text, `${name}: ${how} reads as something else`)
    assert.ok(JSON.stringify(plain(view as object)) === text, `${name}: ${how} becomes something else`)
  }
  for (const [how, make] of [
    ['built', () => buildJson(heaps, value)], ['parsed from a string', () => parseJson(heaps, text)], ['parsed from bytes', () => parseJson(heaps, Buffer.from(text))],
  ] as const) {
    const view = make() as object
    same(view, how)
    release(heaps, view)
    const { liveBytes } = heaps.stats()
    assert.ok(liveBytes < 4096, `${name}, ${how}: ${liveBytes} bytes stay, and shapes take less`)
  }
}
