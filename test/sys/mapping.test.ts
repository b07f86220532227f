// A file at one address, in one isolate: what is refused, and what is left after it was taken away.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type Address, makeAddress } from '../../src/base/numbers.js'
import { RpcError } from '../../src/base/errors.js'
import { addon } from '../../src/sys/addon.js'
import { checkMemoryFile, createMemoryFile, HEAPS_BASE, hugePageBytes, Mapping, mappingCount, publishMemoryFile, WINDOW_BASE, WINDOW_END } from '../../src/sys/index.js'
import { ADDRESS, BYTES, File, LeakCheck } from './peer.js'

const MIB = 1 << 20

interface SystemError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
  readonly argument: string
}

/** What the kernel has noted for the mapping at an address: proc_pid_smaps(5), VmFlags. */
function asksForHugePages(address: Address): boolean {
  const [, flags = ''] = new RegExp(`^${address.toString(16)}-.*\\n(?:[A-Z].*\\n)*?VmFlags: (.*)$`, 'm').exec(readFileSync('/proc/self/smaps', 'latin1')) ?? []
  return flags.split(' ').includes('hg')
}

function systemError(action: () => unknown): SystemError {
  try {
    action()
  } catch (error) {
    assert.ok(error instanceof Error && 'syscall' in error, String(error))
    return error as SystemError
  }
  throw new Error('nothing was thrown')
}

function protectionAt(address: Address): string | undefined {
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const [range = '', protection] = line.split(' ')
    const [start = 0, end = 0] = range.split('-').map((text) => Number.parseInt(text, 16))
    if (address >= start && address < end) return protection
  }
  return undefined
}

/** Mappings of this process, the reservation among them, as the kernel counts them against vm.max_map_count. */
function kernelMappings(): number {
  return readFileSync('/proc/self/maps', 'latin1').split('\n').filter((line) => {
    const address = Number.parseInt(line, 16)
    return address >= WINDOW_BASE && address < WINDOW_END
  }).length
}

test('ranges that were mapped once, anywhere, leave no mappings of their own in the reservation', () => {
  using file = new File()
  file.map().unmap()
  const before = kernelMappings()
  for (let i = 0; i < 20; i++) Mapping.mapLocal(file.fd, BYTES).unmap()
  assert.ok(before > 0)
  assert.equal(kernelMappings(), before)
})

test('after unmap the range is reserved again, and views that are still held read nothing and write nowhere', () => {
  using _leaks = new LeakCheck()
  using file = new File()
  const mapping = file.map()
  const views = [new Int32Array(mapping.buffer), new Uint8Array(mapping.buffer, 4096, 100), new DataView(mapping.buffer)] as const
  views[0][5] = 42
  assert.equal(protectionAt(ADDRESS), 'rw-s')
  mapping.unmap()
  mapping.unmap()
  assert.equal(mapping.byteLength, 0)
  assert.equal(protectionAt(ADDRESS), '---p')
  assert.equal(views[0][5], undefined)
  views[0][5] = 43
  views[1][0] = 7
  assert.throws(() => views[1].fill(7), TypeError)
  assert.throws(() => views[2].getInt32(0), TypeError)

  const again = file.map()
  assert.equal(new Int32Array(again.buffer)[5], 42)
  assert.equal(views[0][5], undefined, 'an old view never reaches what is mapped there now')
  again.unmap()
})

test('the same file at the same address may be mapped often; the range goes with the last', () => {
  using _leaks = new LeakCheck()
  using file = new File()
  const mappings = [file.map(), file.map(), file.map()]
  assert.equal(mappingCount(), 1)
  new Int32Array(mappings[0]!.buffer)[0] = 9
  mappings[0]!.unmap()
  assert.equal(new Int32Array(mappings[2]!.buffer)[0], 9)
  mappings[1]!.unmap()
  assert.equal(mappingCount(), 1)
  mappings[2]!.unmap()
})

test('revoke shows zeros to every view of the isolate at once, and nothing of it reaches the file', () => {
  using _leaks = new LeakCheck()
  using file = new File()
  const [first, second] = [file.map(), file.map()]
  const view = new Int32Array(second.buffer)
  view[0] = 5
  first.revoke()
  first.revoke()
  assert.equal(view[0], 0)
  view[0] = 6
  assert.equal(view[0], 6, 'private zero pages take the late store')
  assert.throws(() => file.map(), { code: 'EEXIST' }, 'not before the last view has gone')
  second.unmap()
  const again = file.map()
  assert.equal(new Int32Array(again.buffer)[0], 5)
  again.unmap()
})

test('a mapping over another one is refused, and leaves it alone', () => {
  using _leaks = new LeakCheck()
  using one = new File()
  using other = new File()
  using longer = new File(2 * BYTES)
  const mapping = one.map()
  const words = new Int32Array(mapping.buffer)
  words[0] = 1
  for (const wrong of [
    () => other.map(), () => longer.map(), () => one.map(makeAddress(0x4007, 4096)),
    () => other.map(makeAddress(0x4007, BYTES - 4096)),
  ]) {
    assert.equal(systemError(wrong).code, 'EEXIST')
  }
  assert.equal(words[0], 1)
  const behind = other.map(makeAddress(0x4007, BYTES))
  behind.revoke()
  mapping.unmap()
})

test('addresses outside the window and misshapen ranges are refused', () => {
  using _leaks = new LeakCheck()
  using file = new File()
  for (const address of [WINDOW_BASE, makeAddress(0x4000, 4096), WINDOW_END, makeAddress(0x3fff, 0), makeAddress(0x7000, 0), makeAddress(1, 0)]) {
    const error = systemError(() => file.map(address))
    assert.equal(error.code, 'ERANGE')
    assert.equal(error.syscall, 'mmap')
    assert.equal(error.argument, `0x${address.toString(16)}, ${BYTES}`)
    assert.ok(error.errno > 0)
    assert.match(error.message, /^ERANGE: .*mmap\(0x/)
  }
  for (const [address, byteLength] of [
    [HEAPS_BASE + 1, BYTES], [HEAPS_BASE, 0], [HEAPS_BASE, 100], [makeAddress(0x4007, 0xffff_f000), BYTES], [-4096, BYTES],
  ] as const) {
    assert.throws(() => Mapping.map(file.fd, address as Address, byteLength), (error) => RpcError.is(error) || error instanceof TypeError)
  }
  assert.equal(systemError(() => Mapping.map(file.fd, ADDRESS, 2 * BYTES)).code, 'EFBIG')
  assert.equal(systemError(() => Mapping.map(9999, ADDRESS, BYTES)).code, 'EBADF')
  assert.throws(() => addon.mapFile(file.fd, Number.NaN, BYTES, true), TypeError)
})

test('a memory file is sealed: it cannot shrink, grow, or be sealed further', () => {
  using _leaks = new LeakCheck()
  using file = new File()
  checkMemoryFile(file.fd, BYTES)
  assert.equal(systemError(() => addon.truncateFile(file.fd, BYTES / 2)).code, 'EPERM')
  assert.equal(systemError(() => addon.truncateFile(file.fd, BYTES * 2)).code, 'EPERM')
  const error = systemError(() => addon.addSeals(file.fd, 8))
  assert.equal(error.code, 'EPERM')
  assert.equal(error.syscall, 'fcntl F_ADD_SEALS')
  assert.equal(error.argument, `fd ${file.fd}`)
})

test('a file without all seals, or of another length, is refused', () => {
  using _leaks = new LeakCheck()
  const refused = (error: unknown): boolean => RpcError.is(error) && error.code === 'FAILED_PRECONDITION'
  for (const seals of [0, 2, 4, 6]) {
    const fd = addon.memfdCreate('unsealed', 2)
    addon.truncateFile(fd, BYTES)
    if (seals > 0) addon.addSeals(fd, seals)
    assert.throws(() => checkMemoryFile(fd, BYTES), refused, `seals ${seals}`)
    addon.closeFd(fd)
  }
  using file = new File()
  assert.throws(() => checkMemoryFile(file.fd, BYTES + 4096), refused)
  assert.throws(() => createMemoryFile('x'.repeat(300), BYTES))
})

test('what a reader stores does not reach the file, and a writer is refused where a reader is', () => {
  using _leaks = new LeakCheck()
  using file = new File()
  const mapping = file.map(ADDRESS, false)
  assert.equal(protectionAt(ADDRESS), 'rw-p')
  assert.equal(systemError(() => file.map()).code, 'EEXIST')
  new Int32Array(mapping.buffer)[0] = 1
  mapping.unmap()
  const fresh = file.map()
  assert.equal(new Int32Array(fresh.buffer)[0], 0)
  fresh.unmap()
})

test('a reader sees what the writer stores, also in one process', () => {
  using _leaks = new LeakCheck()
  using file = new File()
  const writer = file.map()
  const reader = file.map(ADDRESS, false)
  new Int32Array(writer.buffer)[0] = 7
  assert.equal(new Int32Array(reader.buffer)[0], 7)
  writer.unmap()
  assert.equal(new Int32Array(reader.buffer)[0], 7)
  reader.unmap()
})

test('a published file can be written by the mapping made before, and by nothing else', () => {
  using _leaks = new LeakCheck()
  const fd = createMemoryFile('published', BYTES, true)
  const writer = Mapping.map(fd, ADDRESS, BYTES)
  publishMemoryFile(fd)
  checkMemoryFile(fd, BYTES)
  const elsewhere = makeAddress(0x4008, 0)
  assert.equal(systemError(() => Mapping.map(fd, elsewhere, BYTES)).code, 'EPERM')
  assert.equal(systemError(() => publishMemoryFile(fd)).code, 'EPERM')
  const reader = Mapping.map(fd, elsewhere, BYTES, false)
  new Int32Array(writer.buffer)[3] = 5
  assert.equal(new Int32Array(reader.buffer)[3], 5)
  new Int32Array(reader.buffer)[3] = 6
  assert.equal(new Int32Array(writer.buffer)[3], 5)
  reader.unmap()
  writer.unmap()
  addon.closeFd(fd)
})

test('huge pages are asked for, and what was obtained is reported', () => {
  using _leaks = new LeakCheck()
  using file = new File(8 * MIB)
  const mapping = Mapping.map(file.fd, ADDRESS, 8 * MIB)
  assert.equal(hugePageBytes(ADDRESS), 0)
  assert.ok(!asksForHugePages(ADDRESS))
  mapping.adviseHugePages()
  assert.ok(asksForHugePages(ADDRESS))
  new Int32Array(mapping.buffer).fill(1)
  const obtained = hugePageBytes(ADDRESS)
  assert.ok(obtained <= 8 * MIB && obtained % (2 * MIB) === 0, `${obtained} bytes`)
  // Where the administrator lets nobody have them, none is what must be told.
  if (/\[(never|deny)\]/.test(readFileSync('/sys/kernel/mm/transparent_hugepage/shmem_enabled', 'latin1'))) assert.equal(obtained, 0)
  mapping.unmap()
  assert.equal(hugePageBytes(ADDRESS), 0)
})

test('a mapping that nobody holds any more goes with the garbage', async () => {
  using _leaks = new LeakCheck()
  using file = new File()
  const forget = (): number => file.map().byteLength
  assert.equal(forget(), BYTES)
  for (let i = 0; i < 50 && mappingCount() > 0; i++) {
    globalThis.gc?.()
    await turn()
  }
})

test('hundreds of mappings, unmapped in another order, leave nothing', () => {
  using _leaks = new LeakCheck()
  using file = new File(4096)
  const mappings = Array.from({ length: 500 }, (_, i) => file.map(makeAddress(0x4008, i * 4096)))
  assert.equal(mappingCount(), 500)
  for (const [i, mapping] of mappings.entries()) new Int32Array(mapping.buffer)[0]! += i % 2
  for (let i = 0; i < 500; i++) mappings[(i * 177) % 500]!.unmap()
})
