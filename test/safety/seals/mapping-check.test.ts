// What the sealer looks at in a sender's memory: its mappings of the heap's file alone, however much it has besides.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { compiledProgram } from '../../../bench/support/compile.js'
import { makeAddress, PAGE_BYTES } from '../../../src/base/numbers.js'
import { checkMapping } from '../../../src/safety/seals/sealer/mapping-check.js'
import { addon, createMemoryFile } from '../../../src/sys/index.js'

const ADDRESS = makeAddress(0x4020, 0)
const HEAP_BYTES = 16 * PAGE_BYTES
/** A page-wise description of so many (smaps) would be longer than what is read. */
const MAPPINGS = 20_000

test('a sender with tens of thousands of mappings is looked at; its private, missing or longer ones are found among them', async () => {
  const [file, other] = [createMemoryFile('crowded', HEAP_BYTES, true), createMemoryFile('other', HEAP_BYTES, true)]
  const crowd = spawn(await compiledProgram('test/safety/seals', 'crowded'), [ADDRESS, HEAP_BYTES, MAPPINGS, 1].map(String), { stdio: ['pipe', 'pipe', 'inherit', file] })
  const ended = once(crowd, 'exit')
  try {
    assert.equal(String(await Promise.race([once(crowd.stdout!, 'data'), ended])).trim(), 'ready')
    const check = (address = ADDRESS as number, byteLength = HEAP_BYTES, fd = file): void => checkMapping(crowd.pid!, address, byteLength, fd)
    assert.doesNotThrow(() => check())
    assert.throws(() => check(ADDRESS, HEAP_BYTES + PAGE_BYTES), { code: 'FAILED_PRECONDITION', message: /does not map the heap there/ })
    assert.throws(() => check(ADDRESS, HEAP_BYTES, other), { code: 'FAILED_PRECONDITION', message: /does not map the heap there/ })
    assert.throws(() => check(ADDRESS + PAGE_BYTES, PAGE_BYTES), { code: 'FAILED_PRECONDITION', message: /other pages/ })
  } finally {
    crowd.stdin!.end()
    await ended
    for (const fd of [file, other]) addon.closeFd(fd)
  }
})
