import { RpcError } from '../../../base/errors.js'
import { makeAddress, type Address } from '../../../base/numbers.js'
import { addon, createMemoryFile, errnoCode, PREPARED_HEAP_VARIABLE } from '../../../sys/index.js'
import { confinementFilter } from './confinement.js'
import type { SealClient } from '../seal-client.js'

// System calls of x86-64, and what they are given. Source: asm/unistd_64.h and the manual page of each.
const CALL = { mmap: 9, close: 3, ioctl: 16, madvise: 28, munmap: 11, prctl: 157, mseal: 462 } as const
const READ_WRITE = 3
const MAP_SHARED_FIXED = 0x01 | 0x100000
const MAP_PRIVATE_ANONYMOUS = 0x02 | 0x20
const MADV_DONTFORK = 10
const MADV_POPULATE_WRITE = 23
const USERFAULTFD_IOC_NEW = 0xaa00
const O_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000
const PR_SET_DUMPABLE = 4
const PR_SET_NO_NEW_PRIVS = 38
const PR_SET_SECCOMP = 22
const SECCOMP_MODE_FILTER = 2
const SCRATCH_BYTES = 8192
/** struct sock_fprog lies at the start of the scratch page, the filter behind it. */
const FILTER_OFFSET = 64

export interface Launch {
  /** An absolute path. */
  readonly program: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The user, and group of the same number, that the program becomes; undefined leaves it as it is. */
  readonly user?: number
  readonly address: Address
  readonly heapBytes: number
}

export interface Launched {
  readonly pid: number
  /** The heap's file, for its receiver; the caller's to close. The program has no descriptor of it. */
  readonly heapFile: number
}

/** Where a prepared heap lies unless somebody says otherwise. */
export const PREPARED_ADDRESS = makeAddress(0x53f0, 0)

/**
 * Starts a program whose seals will be enforced. Before its first instruction, in its final memory: its heap is mapped, given memory, kept
 * from its children and made final; its userfaultfd is made, taken and closed there; it keeps no descriptor but 0 to 2; and a filter of
 * system calls is put on it that nothing takes off. The sealer is told, and believes it from a process of its own user.
 *
 * Throws FAILED_PRECONDITION where that is not possible: another architecture, no /dev/userfaultfd, a kernel before 6.10 (mseal), a program
 * that cannot be started.
 */
export async function launchConfined(client: SealClient, launch: Launch): Promise<Launched> {
  const filter = confinementFilter()
  if (filter === undefined) throw new RpcError('FAILED_PRECONDITION', `there is no filter of system calls for ${process.arch}: programs can be confined on x64 only`)
  await client.connected()
  const heapFile = createMemoryFile('prepared', launch.heapBytes, true)
  let device = -1
  let pid = -1
  try {
    device = addon.openUserfaultDevice()
    pid = addon.traceProgram(block([launch.program, ...launch.args]), block(environmentOf(launch)), launch.user ?? -1, heapFile, device)
    const userfault = prepare(pid, launch, heapFile, device, filter)
    try {
      await client.attest({ pid, address: launch.address, byteLength: launch.heapBytes }, userfault)
    } finally {
      addon.closeFd(userfault)
    }
    addon.traceEnd(pid, true)
    return { pid, heapFile }
  } catch (error) {
    if (pid > 0) addon.traceEnd(pid, false)
    addon.closeFd(heapFile)
    if (errnoCode(error) === undefined) throw error
    throw new RpcError('FAILED_PRECONDITION', `${launch.program} cannot be started confined: ${String(error)}`, { cause: error })
  } finally {
    if (device >= 0) addon.closeFd(device)
  }
}

/** In the stopped program: everything of {@link launchConfined}. Returns its userfaultfd, which it has no more; the caller's to close. */
function prepare(pid: number, { address, heapBytes }: Launch, heapFile: number, device: number, filter: Uint8Array): number {
  const call = (name: keyof typeof CALL, ...args: readonly number[]): number => {
    const result = addon.tracedCall(pid, words([CALL[name], ...args]))
    // The kernel's errors are the last 4095 numbers.
    if (result < 0 && result > -4096) throw new RpcError('FAILED_PRECONDITION', `${name} fails in the program that is to be confined (errno ${-result})`)
    return result
  }
  call('mmap', address, heapBytes, READ_WRITE, MAP_SHARED_FIXED, heapFile, 0)
  call('madvise', address, heapBytes, MADV_POPULATE_WRITE)
  call('madvise', address, heapBytes, MADV_DONTFORK)
  call('mseal', address, heapBytes, 0)
  const inProgram = call('ioctl', device, USERFAULTFD_IOC_NEW, O_CLOEXEC_NONBLOCK)
  const userfault = takeFrom(pid, inProgram)
  for (const fd of [inProgram, device, heapFile]) call('close', fd)
  const scratch = call('mmap', 0, SCRATCH_BYTES, READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
  const program = words([filter.length / 8, scratch + FILTER_OFFSET])
  addon.tracedWrite(pid, scratch, program.subarray(0, 16))
  addon.tracedWrite(pid, scratch + FILTER_OFFSET, filter)
  call('prctl', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  // Other processes of its user could write to it, or have it make system calls, by ptrace. Without a user of its own that cannot be helped.
  if (process.geteuid?.() === 0) call('prctl', PR_SET_DUMPABLE, 0, 0, 0, 0)
  call('prctl', PR_SET_SECCOMP, SECCOMP_MODE_FILTER, scratch, 0, 0)
  call('munmap', scratch, SCRATCH_BYTES)
  return userfault
}

function takeFrom(pid: number, fd: number): number {
  const pidfd = addon.openPidfd(pid)
  try {
    return addon.takeFd(pidfd, fd)
  } finally {
    addon.closeFd(pidfd)
  }
}

/** Seven 64-bit words: a system call's number and arguments, or what a structure holds. */
function words(values: readonly number[]): Uint8Array {
  const out = new BigInt64Array(7)
  for (const [i, value] of values.entries()) out[i] = BigInt(value)
  return new Uint8Array(out.buffer)
}

function environmentOf({ environment, address, heapBytes }: Launch): string[] {
  const own = { ...environment, [PREPARED_HEAP_VARIABLE]: `${address.toString(16)},${heapBytes.toString(16)}` }
  return Object.entries(own).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
}

/** NUL-ended strings, one after the other. */
function block(texts: readonly string[]): Uint8Array {
  const bad = texts.find((text) => text.includes('\0'))
  if (bad !== undefined) throw new RpcError('INVALID_ARGUMENT', 'an argument of a program cannot hold a NUL character')
  return new Uint8Array(Buffer.from(texts.map((text) => `${text}\0`).join(''), 'utf8'))
}
