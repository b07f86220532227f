import { randomInt } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { RpcError } from '../base/errors.js'
import { type Address, FOUR_GIB, makeAddress, PAGE_BYTES, roundUp } from '../base/numbers.js'
import { addon, errnoCode, type NativeHolder } from './addon.js'
import { type PreparedRange, preparedHeaps } from './prepared.js'
import { HEAPS_BASE, WINDOW_BASE, WINDOW_END } from './window-bounds.js'

/** From here to the heaps each process maps, wherever there is room, files that hold no pointers: nobody else need know where. */
const LOCAL_BASE = makeAddress(0x4000, 1 << 30)

const MFD_ALLOW_SEALING = 2
const F_SEAL_SEAL = 1
const F_SEAL_SHRINK = 2
const F_SEAL_GROW = 4
const F_SEAL_FUTURE_WRITE = 16
const MADV_HUGEPAGE = 14
const REQUIRED_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW

/** Attempts to find room for a local mapping: the room is a thousand times larger than what is ever mapped there. */
const LOCAL_ATTEMPTS = 100

let reserved = false

function reserveWindow(): void {
  if (reserved) return
  const holes = new BigUint64Array(preparedHeaps().flatMap(({ address, byteLength }) => [BigInt(address), BigInt(byteLength)]))
  try {
    addon.reserveWindow(WINDOW_BASE, WINDOW_END - WINDOW_BASE, new Uint8Array(holes.buffer))
  } catch (cause) {
    const code = errnoCode(cause)
    const why =
      code === 'EEXIST' ? 'something else in this process is mapped there'
      : code === 'EPROTOTYPE' ? 'another version of rpcool with another mapping table holds it; use one version per process'
      : code === 'ENOMEM' ? 'the limit on address space forbids it; raise "ulimit -v"'
      : String(code)
    throw new RpcError('FAILED_PRECONDITION', `the address window of heaps cannot be reserved: ${why}`, { cause })
  }
  reserved = true
}

/**
 * Makes an anonymous memory file of a fixed size, sealed against shrinking, growing and further seals; one that is `toPublish`
 * takes further seals until {@link publishMemoryFile}. The descriptor is the caller's to close.
 */
export function createMemoryFile(name: string, byteLength: number, toPublish = false): number {
  const fd = addon.memfdCreate(`rpcool:${name}`, MFD_ALLOW_SEALING)
  try {
    addon.truncateFile(fd, byteLength)
    addon.addSeals(fd, toPublish ? F_SEAL_SHRINK | F_SEAL_GROW : REQUIRED_SEALS)
    return fd
  } catch (error) {
    addon.closeFd(fd)
    throw error
  }
}

/**
 * From here on nobody can write to the file or map it writable, through whatever descriptor: only mappings that were made
 * before can. Sealing a file twice is refused by the kernel (EPERM). Source: fcntl(2), F_SEAL_FUTURE_WRITE.
 */
export function publishMemoryFile(fd: number): void {
  addon.addSeals(fd, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)
}

/** Asks nobody but the kernel, whatever the descriptor is of. */
export function isMemoryFile(fd: number): boolean {
  try {
    return addon.getSeals(fd) >= 0
  } catch (error) {
    if (errnoCode(error) === undefined) throw error
    return false
  }
}

/** Asks nobody but the kernel. A file's name starts with a slash, whatever its file system calls it. */
export function isUserfault(fd: number): boolean {
  return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[userfaultfd]'
}

export function isPublished(fd: number): boolean {
  return (addon.getSeals(fd) & F_SEAL_FUTURE_WRITE) !== 0
}

/**
 * Refuses a memory file whose size could change under a mapping (a store past the end would end the process), or to which
 * a peer could still add seals.
 */
export function checkMemoryFile(fd: number, byteLength: number): void {
  checkFile(fd, byteLength, REQUIRED_SEALS)
}

/** The same for a file that is to be published later: whoever does it adds the last seals. */
export function checkSealableFile(fd: number, byteLength: number): void {
  checkFile(fd, byteLength, F_SEAL_SHRINK | F_SEAL_GROW)
}

function checkFile(fd: number, byteLength: number, required: number): void {
  const seals = addon.getSeals(fd)
  const actual = addon.fileLength(fd)
  if ((seals & required) !== required || actual !== byteLength) {
    throw new RpcError('FAILED_PRECONDITION',
      `a memory file has seals ${seals} and ${actual} bytes where seals ${required} and ${byteLength} bytes were promised`)
  }
}

/** A memory file mapped in this isolate at its one address. `unmap` ends it; later accesses read zeros and cannot fault. */
export class Mapping {
  readonly #holder: NativeHolder
  #open = true

  private constructor(readonly buffer: ArrayBuffer, holder: NativeHolder, readonly address: Address) {
    this.#holder = holder
  }

  /**
   * Maps `byteLength` bytes of the file at `address` inside the window, over the reservation. The descriptor stays the
   * caller's. The same file at the same address may be mapped again, in any isolate of the process.
   * @param writable false for who only reads: what is stored all the same stays in private pages of this process, and can
   *   neither change the file nor end the process. In a process that has the file mapped writable already, it is that mapping.
   */
  static map(fd: number, address: Address, byteLength: number, writable = true): Mapping {
    if (address % PAGE_BYTES !== 0 || byteLength % PAGE_BYTES !== 0 || byteLength === 0 ||
        Math.floor(address / FOUR_GIB) !== Math.floor((address + byteLength - 1) / FOUR_GIB)) {
      throw new RpcError('INVALID_ARGUMENT',
        `a mapping of ${byteLength} bytes at 0x${address.toString(16)} is not whole pages inside one 4 GiB slot`)
    }
    reserveWindow()
    const [buffer, holder] = addon.mapFile(fd, address, byteLength, writable)
    return new Mapping(buffer, holder, address)
  }

  /** Joins a heap that a launcher prepared for this process, of which it has no file. Throws FAILED_PRECONDITION when it did not. */
  static prepared({ address, byteLength }: PreparedRange): Mapping {
    if (preparedHeaps().some((one) => one.address === address && one.byteLength === byteLength)) return Mapping.map(-1, address, byteLength)
    throw new RpcError('FAILED_PRECONDITION', `no launcher prepared a heap of ${byteLength} bytes at 0x${address.toString(16)} for this process`)
  }

  /** Maps a file that holds no pointers at any free address. As {@link map}. */
  static mapLocal(fd: number, byteLength: number, writable = true): Mapping {
    const room = (HEAPS_BASE - LOCAL_BASE - roundUp(byteLength, PAGE_BYTES)) / PAGE_BYTES
    for (let attempt = 1; ; attempt++) {
      const address = (LOCAL_BASE + randomInt(room + 1) * PAGE_BYTES) as Address
      try {
        return Mapping.map(fd, address, byteLength, writable)
      } catch (error) {
        if (errnoCode(error) !== 'EEXIST' || attempt >= LOCAL_ATTEMPTS) throw error
      }
    }
  }

  get byteLength(): number {
    return this.buffer.byteLength
  }

  /** Asks for huge pages. Whether any were obtained is what {@link hugePageBytes} reports. */
  adviseHugePages(): void {
    addon.advise(this.address, this.buffer.byteLength, MADV_HUGEPAGE)
  }

  /** Takes the memory away from this isolate. Idempotent. */
  unmap(): void {
    if (!this.#open) return
    this.#open = false
    addon.unmap(this.buffer, this.#holder)
  }

  /** Takes the memory away from every isolate of the process at once: late accesses meet private zero pages. */
  revoke(): void {
    addon.revoke(this.address)
    this.unmap()
  }
}

/** Bytes of a mapped range that the kernel backs with huge pages now. Source: proc_pid_smaps(5), ShmemPmdMapped. */
export function hugePageBytes(address: Address): number {
  const lines = readFileSync('/proc/self/smaps', 'latin1').split('\n')
  const start = lines.findIndex((line) => line.startsWith(`${address.toString(16)}-`))
  const field = start < 0 ? undefined : lines.slice(start, start + 30).find((line) => line.startsWith('ShmemPmdMapped:'))
  return field === undefined ? 0 : Number.parseInt(field.slice(15), 10) * 1024
}

/** Ranges of the window in use in this process: for tests that prove that nothing leaked. */
export function mappingCount(): number {
  return addon.mappings()
}
