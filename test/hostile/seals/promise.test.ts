// The documentation promises what the hostile suite proves, row by row.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ATTACKS } from './expected.js'
import { renderPromise } from './promise.js'

const document = fileURLToPath(new URL('../../../../docs/seals.md', import.meta.url))
const START = '<!-- generated from test/hostile/seals/expected.ts: RPCOOL_UPDATE_DOCS=1 npm test -- hostile/seals/promise -->\n'
const END = '<!-- end -->'

test('docs/seals.md holds the table of the hostile suite', () => {
  const text = readFileSync(document, 'utf8')
  const [start, end] = [text.indexOf(START), text.indexOf(END)]
  assert.ok(start >= 0 && end > start, 'the marks are there')
  const wanted = text.slice(0, start + START.length) + renderPromise() + text.slice(end)
  if (process.env['RPCOOL_UPDATE_DOCS'] === '1') writeFileSync(document, wanted)
  else assert.equal(text, wanted, 'run the command in the mark')
})

test('every attack of the table is in the attackers\' program, and the other way round', () => {
  const source = readFileSync(fileURLToPath(new URL('../../../../test/hostile/seals/attacks.c', import.meta.url)), 'utf8')
  const table = source.slice(source.indexOf('const attack_t ATTACKS[]'))
  assert.deepEqual([...table.matchAll(/^ {2}\{"([^"]+)"/gm)].map(([, name]) => name), ATTACKS.map(({ name }) => name))
})
