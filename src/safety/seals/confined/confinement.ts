import { HEAPS_BASE, WINDOW_END } from '../../../sys/index.js'
import { addressHigh } from '../../../base/numbers.js'

/*
 * The filter of system calls under which a confined sender runs (seccomp(2), classic BPF): what the kernel would write to a sealed page,
 * or would undo its protection, whatever its page table says. It stays for the process's life and for its children.
 *
 * Programs that load the file of a heap into memory need none of this; what is refused and may be missed: readv, preadv, io_uring, Linux
 * aio, process_vm_*, userfaultfd, recvmmsg, TLS in the kernel, ioctls other than of terminals and descriptors.
 */

/** System calls of x86-64. Source: asm/unistd_64.h. */
const SYSCALL = {
  read: 0, ioctl: 16, pread64: 17, readv: 19, madvise: 28, socket: 41, recvfrom: 45, setsockopt: 54, prctl: 157, io_setup: 206, io_submit: 209,
  remap_file_pages: 216, preadv: 295, recvmmsg: 299, process_vm_readv: 310, process_vm_writev: 311, userfaultfd: 323, preadv2: 327, io_uring_setup: 425,
  io_uring_enter: 426, io_uring_register: 427, pidfd_getfd: 438, process_madvise: 440,
} as const

const EPERM = 1
const EFAULT = 14
const ENOTTY = 25
const EAFNOSUPPORT = 97

const AUDIT_ARCH_X86_64 = 0xc000_003e
/** System calls of the 32-bit-pointer form have this bit: refused, or they would pass the numbers below. */
const X32_BIT = 0x4000_0000
const RETURN_ALLOW = 0x7fff_0000
const RETURN_ERRNO = 0x0005_0000

const AF_ALG = 38
/** Its sockets take hold of pages for as long as they live, and write packets to them. */
const AF_XDP = 44
/** Of TCP sockets: TLS in the kernel decrypts into pages that it has taken hold of. */
const SOL_TCP = 6
const TCP_ULP = 31
const PR_SET_DUMPABLE = 4
/** The type of the ioctls of terminals, pipes and sockets: FIONBIO, TCGETS and so on. */
const IOCTL_TERMINAL = 0x54
/** Among them, what types into the terminal in its user's name: TIOCSTI, TIOCLINUX. */
const TERMINAL_INPUT = [0x5412, 0x541c]
/** Advice that changes pages behind a seal, or undoes what the launcher advised: REMOVE, DOFORK, GUARD_INSTALL. */
const REFUSED_ADVICE = [9, 11, 102]

/** Upper half of the first number beyond the addresses of programs, which have 56 bits at most. */
const TAGGED_HIGH = 0x0100_0000

// struct seccomp_data: nr, arch, instruction_pointer, args[6] of 64 bits.
const DATA_NUMBER = 0
const DATA_ARCHITECTURE = 4
const argumentLow = (index: number): number => 16 + index * 8
const argumentHigh = (index: number): number => argumentLow(index) + 4

interface Instruction {
  readonly code: number
  readonly jumpTrue: number
  readonly jumpFalse: number
  readonly operand: number
}

const load = (offset: number): Instruction => ({ code: 0x20, jumpTrue: 0, jumpFalse: 0, operand: offset })
const answer = (value: number): Instruction => ({ code: 0x06, jumpTrue: 0, jumpFalse: 0, operand: value })
const andWith = (mask: number): Instruction => ({ code: 0x54, jumpTrue: 0, jumpFalse: 0, operand: mask })
const ifEqual = (operand: number, jumpTrue: number, jumpFalse: number): Instruction => ({ code: 0x15, jumpTrue, jumpFalse, operand })
const ifAtLeast = (operand: number, jumpTrue: number, jumpFalse: number): Instruction => ({ code: 0x35, jumpTrue, jumpFalse, operand })

/** For one system call: when its number is loaded and equal, `body` decides, and always answers. */
function when(number: number, body: readonly Instruction[]): Instruction[] {
  return [ifEqual(number, 0, body.length), ...body]
}

const refuse = (errno: number): Instruction => answer(RETURN_ERRNO | errno)

/** Refuses when what is loaded is one of the values. */
function refuseLoaded(values: readonly number[], errno: number): Instruction[] {
  return values.flatMap((value) => [ifEqual(value, 0, 1), refuse(errno)])
}

/** Refuses when an argument's lower half is one of the values. */
function refuseValues(argument: number, values: readonly number[], errno: number): Instruction[] {
  return [load(argumentLow(argument)), ...refuseLoaded(values, errno), answer(RETURN_ALLOW)]
}

/**
 * Refuses a buffer that starts in the window of heaps, or within the 4 GiB before it, from where it could reach in; and what is no address but
 * where the processor masks upper bits (LAM, which a program may ask for by arch_prctl): the kernel would do so, too, and read into a heap.
 */
function refuseHeapBuffer(argument: number): Instruction[] {
  return [
    load(argumentHigh(argument)), ifAtLeast(addressHigh(HEAPS_BASE) - 2, 0, 3), ifAtLeast(TAGGED_HIGH, 1, 0), ifAtLeast(addressHigh(WINDOW_END), 1, 0), refuse(EFAULT), answer(RETURN_ALLOW),
  ]
}

/** The filter for this machine's architecture, as an array of struct sock_filter; undefined where there is none. */
export function confinementFilter(architecture: string = process.arch): Uint8Array | undefined {
  if (architecture !== 'x64') return undefined
  const refused = [
    SYSCALL.readv, SYSCALL.preadv, SYSCALL.preadv2, SYSCALL.recvmmsg, SYSCALL.io_setup, SYSCALL.io_submit, SYSCALL.io_uring_setup, SYSCALL.io_uring_enter,
    SYSCALL.io_uring_register, SYSCALL.process_vm_readv, SYSCALL.process_vm_writev, SYSCALL.userfaultfd, SYSCALL.pidfd_getfd, SYSCALL.process_madvise,
    SYSCALL.remap_file_pages,
  ]
  return assemble([
    load(DATA_ARCHITECTURE), ifEqual(AUDIT_ARCH_X86_64, 1, 0), refuse(EPERM),
    load(DATA_NUMBER), ifAtLeast(X32_BIT, 0, 1), refuse(EPERM),
    ...[SYSCALL.read, SYSCALL.pread64, SYSCALL.recvfrom].flatMap((number) => when(number, refuseHeapBuffer(1))),
    ...when(SYSCALL.madvise, refuseValues(2, REFUSED_ADVICE, EPERM)),
    ...when(SYSCALL.ioctl, [
      load(argumentLow(1)), ...refuseLoaded(TERMINAL_INPUT, EPERM),
      andWith(0xffff_ff00), ifEqual(IOCTL_TERMINAL << 8, 1, 0), refuse(ENOTTY), answer(RETURN_ALLOW),
    ]),
    ...when(SYSCALL.socket, refuseValues(0, [AF_ALG, AF_XDP], EAFNOSUPPORT)),
    ...when(SYSCALL.setsockopt, [
      load(argumentLow(1)), ifEqual(SOL_TCP, 0, 3), load(argumentLow(2)), ifEqual(TCP_ULP, 0, 1), refuse(EPERM), answer(RETURN_ALLOW),
    ]),
    ...when(SYSCALL.prctl, refuseValues(0, [PR_SET_DUMPABLE], EPERM)),
    ...refused.flatMap((number) => when(number, [refuse(EPERM)])),
    answer(RETURN_ALLOW),
  ])
}

/** struct sock_filter: u16 code, u8 jt, u8 jf, u32 k. */
function assemble(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [i, { code, jumpTrue, jumpFalse, operand }] of instructions.entries()) {
    view.setUint16(i * 8, code, true)
    view.setUint8(i * 8 + 2, jumpTrue)
    view.setUint8(i * 8 + 3, jumpFalse)
    view.setUint32(i * 8 + 4, operand, true)
  }
  return bytes
}
