import { RpcError } from '../../../base/errors.js'
import { isUser, userId } from '../../../control/place/users.js'
import type { Address } from '../../../base/numbers.js'
import { addon, errnoCode, formatPreparedHeaps, PREPARED_HEAPS_VARIABLE, publishMemoryFile } from '../../../sys/index.js'
import { confinementFilter } from './confinement.js'
import type { SealClient } from '../seal-client.js'

// System calls of x86-64, and what they are given. Source: asm/unistd_64.h and the manual page of each.
const CALL = { mmap: 9, close: 3, ioctl: 16, madvise: 28, munmap: 11, setgroups: 116, setresuid: 117, setresgid: 119, prctl: 157, mseal: 462, keyctl: 250 } as const
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
const KEYCTL_JOIN_SESSION_KEYRING = 1
const EPERM = 1
const ENOSYS = 38
/** Of the kernel, for whom it knows no other: overflowgid, proc(5). */
const NOBODYS_GROUP = 65_534
const SCRATCH_BYTES = 8192
/** struct sock_fprog lies at the start of the scratch page, the filter behind it. */
const FILTER_OFFSET = 64

/** Memory for sealed arguments that the program is to have. */
export interface LaunchHeap {
  readonly address: Address
  readonly byteLength: number
  /** Made by `createMemoryFile` to be published; the caller's. Nobody can write to it any more but the program, when that begins. */
  readonly file: number
}

export interface Launch {
  /** An absolute path. */
  readonly program: string
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The user that the program becomes; undefined leaves it as it is. */
  readonly user?: number
  /** The only group that it has then; nobody's unless told otherwise: the one of the user's number may be a privileged one. */
  readonly group?: number | undefined
  readonly heaps: readonly LaunchHeap[]
  /** Called with the program's pid before it begins: what it needs from others is arranged. When it fails the program never begins. */
  readonly arranged?: (pid: number) => Promise<void>
}

/**
 * Starts a program whose seals will be enforced; returns its pid. Before its first instruction, in its final memory: its heaps are mapped,
 * given memory, kept from its children and made final; a userfaultfd for each is made, taken and closed there; it keeps no descriptor but
 * 0 to 2; and a filter of system calls is put on it that nothing takes off. The sealer is told of each heap, verifies it while the program
 * stands still, and believes the rest from a process of its own user. `client` is to live as long as the program.
 *
 * Throws FAILED_PRECONDITION where that is not possible: another architecture, no /dev/userfaultfd, a kernel before 6.10 (mseal), a program
 * that cannot be started.
 */
export async function launchConfined(client: SealClient, launch: Launch): Promise<number> {
  const filter = confinementFilter()
  if (filter === undefined) throw new RpcError('FAILED_PRECONDITION', `there is no filter of system calls for ${process.arch}: programs can be confined on x64 only`)
  const { program, args, heaps, user, group } = launch
  for (const number of [user ?? 0, group ?? 0]) {
    if (!isUser(number)) throw new RpcError('INVALID_ARGUMENT', `${number} is not the number of a user or group`)
  }
  await client.connected()
  const userfaults: number[] = []
  let device = -1
  let pid = -1
  try {
    device = addon.openUserfaultDevice()
    const inherited = new Int32Array([device, ...heaps.map(({ file }) => file)])
    pid = addon.traceProgram(block([program, ...args]), block(environmentOf(launch)), new Uint8Array(inherited.buffer))
    const call = callIn(pid)
    becomeUser(pid, call, user, group)
    for (const heap of heaps) userfaults.push(mapHeap(pid, call, heap, device))
    for (const fd of inherited) call('close', fd)
    confine(pid, call, filter)
    for (const [i, { address, byteLength, file }] of heaps.entries()) {
      publishMemoryFile(file)
      await client.attest({ pid, uid: user ?? userId(), address, byteLength }, userfaults[i]!, file)
    }
    await launch.arranged?.(pid)
    addon.traceEnd(pid, true)
    return pid
  } catch (error) {
    if (pid > 0) addon.traceEnd(pid, false)
    if (errnoCode(error) === undefined) throw error
    throw new RpcError('FAILED_PRECONDITION', `${launch.program} cannot be started confined: ${String(error)}`, { cause: error })
  } finally {
    if (device >= 0) addon.closeFd(device)
    for (const fd of userfaults) addon.closeFd(fd)
  }
}

/** Makes system calls in the stopped program; throws FAILED_PRECONDITION when one fails. */
type CallIn = (name: keyof typeof CALL, ...args: readonly number[]) => number

function callIn(pid: number): CallIn {
  return (name, ...args) => {
    const result = addon.tracedCall(pid, words([CALL[name], ...args]))
    // The kernel's errors are the last 4095 numbers.
    if (result < 0 && result > -4096) throw new RpcError('FAILED_PRECONDITION', `${name} fails in the program that is to be confined (errno ${-result})`)
    return result
  }
}

/**
 * Before anything of value is in the program: exec would make it traceable for its new user's other processes, which could take its
 * descriptors or write to it, so that it is still root's then. The kernel ends that in the same step in which the user changes, for as long
 * as the program lives: only `suid_dumpable` of 1 would let it stay, hence the explicit call. Without a user of its own other
 * processes of its user can write to it by ptrace, which the strength says.
 */
function becomeUser(pid: number, call: CallIn, user: number | undefined, group = NOBODYS_GROUP): void {
  if (user !== undefined) {
    call('setgroups', 0, 0)
    call('setresgid', group, group, group)
    call('setresuid', user, user, user)
    leaveKeyring(pid)
  }
  if (process.geteuid?.() === 0) call('prctl', PR_SET_DUMPABLE, 0, 0, 0, 0)
}

/**
 * The launcher's session keyring holds its user's keys, which who inherits it may read: the program gets an empty one. A kernel without keyrings
 * has nothing to leave; a container's filter that refuses this call refuses the program every look at a key, too.
 */
function leaveKeyring(pid: number): void {
  const result = addon.tracedCall(pid, words([CALL.keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0]))
  if (result < 0 && result !== -EPERM && result !== -ENOSYS) throw new RpcError('FAILED_PRECONDITION', `the program cannot leave its launcher's keyring (errno ${-result})`)
}

/** Returns a userfaultfd of the stopped program, which has it no more; the caller's to close. The descriptors it inherited stay open. */
function mapHeap(pid: number, call: CallIn, { address, byteLength, file }: LaunchHeap, device: number): number {
  call('mmap', address, byteLength, READ_WRITE, MAP_SHARED_FIXED, file, 0)
  call('madvise', address, byteLength, MADV_POPULATE_WRITE)
  call('madvise', address, byteLength, MADV_DONTFORK)
  call('mseal', address, byteLength, 0)
  const inProgram = call('ioctl', device, USERFAULTFD_IOC_NEW, O_CLOEXEC_NONBLOCK)
  const userfault = takeFrom(pid, inProgram)
  call('close', inProgram)
  return userfault
}

function confine(pid: number, call: CallIn, filter: Uint8Array): void {
  const scratch = call('mmap', 0, SCRATCH_BYTES, READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
  const program = words([filter.length / 8, scratch + FILTER_OFFSET])
  addon.tracedWrite(pid, scratch, program.subarray(0, 16))
  addon.tracedWrite(pid, scratch + FILTER_OFFSET, filter)
  call('prctl', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
  call('prctl', PR_SET_SECCOMP, SECCOMP_MODE_FILTER, scratch, 0, 0)
  call('munmap', scratch, SCRATCH_BYTES)
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

function environmentOf({ environment, heaps }: Launch): string[] {
  const own = { ...environment, [PREPARED_HEAPS_VARIABLE]: formatPreparedHeaps(heaps) }
  return Object.entries(own).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
}

/** NUL-ended strings, one after the other. */
function block(texts: readonly string[]): Uint8Array {
  const bad = texts.find((text) => text.includes('\0'))
  if (bad !== undefined) throw new RpcError('INVALID_ARGUMENT', 'an argument of a program cannot hold a NUL character')
  return new Uint8Array(Buffer.from(texts.map((text) => `${text}\0`).join(''), 'utf8'))
}
