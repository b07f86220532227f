// What a confined program shows of itself: to the filter numbers that are addresses to some processors only, to the sealer a name that reads like facts.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { confinementFilter } from '../../../src/safety/seals/confined/confinement.js'
import { checkConfinement } from '../../../src/safety/seals/sealer/mapping-check.js'
import { HEAPS_BASE, WINDOW_END } from '../../../src/sys/index.js'
import { hasCode } from '../../memory/model.js'

const ALLOW = 0x7fff_0000
const EFAULT = 0x0005_0000 | 14
const READ = 0
const RECVFROM = 45

/** What the filter answers to a system call, as the kernel runs it. Source: seccomp(2), Documentation/networking/filter.rst. */
function answerTo(filter: Uint8Array, number: number, args: readonly bigint[]): number {
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, number, true)
  data.setUint32(4, 0xc000_003e, true)
  for (const [i, value] of args.entries()) data.setBigUint64(16 + i * 8, value, true)
  const code = new DataView(filter.buffer, filter.byteOffset, filter.byteLength)
  let loaded = 0
  for (let at = 0; ;) {
    const operand = code.getUint32(at * 8 + 4, true)
    const jump = (taken: boolean): number => code.getUint8(at * 8 + (taken ? 2 : 3))
    const operation = code.getUint16(at * 8, true)
    if (operation === 0x06) return operand
    if (operation === 0x20) loaded = data.getUint32(operand, true)
    else if (operation === 0x54) loaded = (loaded & operand) >>> 0
    else if (operation === 0x15) at += jump(loaded === operand)
    else if (operation === 0x35) at += jump(loaded >= operand)
    else assert.fail(`an instruction that this test does not know: ${operation}`)
    at++
  }
}

test('nothing is read into a heap, whatever a processor that masks upper bits takes for its address', () => {
  const filter = confinementFilter('x64')!
  const read = (address: bigint): number => answerTo(filter, READ, [3n, address, 4096n])
  const base = BigInt(HEAPS_BASE)
  for (const elsewhere of [0x1000n, base - (3n << 32n), BigInt(WINDOW_END), 0x7fff_ffff_f000n, (1n << 56n) - 1n]) assert.equal(read(elsewhere), ALLOW, elsewhere.toString(16))
  for (const inside of [base - (1n << 32n), base, BigInt(WINDOW_END) - 1n]) assert.equal(read(inside), EFAULT, inside.toString(16))
  for (const tag of [56n, 57n, 62n, 63n]) {
    assert.equal(read(base | 1n << tag), EFAULT, `bit ${tag}`)
    assert.equal(answerTo(filter, RECVFROM, [3n, base | 1n << tag, 1n]), EFAULT)
  }
})

test('a program whose name says that it is confined is not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-named-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const program = join(folder, '\rSeccomp:\t2')
  copyFileSync('/bin/cat', program)
  const child = spawn('setpriv', ['--no-new-privs', '--', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  child.stdin.write('here')
  await once(child.stdout, 'data')
  try {
    assert.throws(() => checkConfinement(child.pid!), hasCode('FAILED_PRECONDITION'))
  } finally {
    child.stdin.end()
    await ended
  }
})
