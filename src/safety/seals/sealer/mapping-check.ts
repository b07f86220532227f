import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { RpcError } from '../../../base/errors.js'
import { PAGE_BYTES } from '../../../base/numbers.js'

/** One mapping of a process. Source: proc_pid_smaps(5). */
interface MappedArea {
  readonly start: number
  readonly end: number
  readonly permissions: string
  /** Where in the file it begins, in bytes. */
  readonly offset: number
  /** Device and inode, as the kernel prints them. */
  readonly file: string
  readonly flags: readonly string[]
}

export function parseSmaps(text: string): MappedArea[] {
  const areas: MappedArea[] = []
  for (const line of text.split('\n')) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) (\S+ \d+)/.exec(line)
    if (head !== null) {
      const [start, end, offset] = [head[1]!, head[2]!, head[4]!].map((hex) => Number.parseInt(hex, 16)) as [number, number, number]
      areas.push({ start, end, permissions: head[3]!, offset, file: head[5]!, flags: [] })
    } else if (line.startsWith('VmFlags:')) {
      const last = areas.pop()
      if (last !== undefined) areas.push({ ...last, flags: line.slice(8).trim().split(' ') })
    }
  }
  return areas
}

export interface CheckedMapping {
  /** The kernel refuses to change the mapping for as long as the process lives. */
  readonly isFinal: boolean
  /** Children of the process do not get it. */
  readonly keptFromChildren: boolean
  /** Pages that the kernel was told to write to at any time (VmPin). */
  readonly pinnedBytes: number
}

/**
 * Checks in /proc that a process maps the file's beginning at the range, as its receiver does, once and nowhere else, under this userfaultfd's
 * watch.
 * Throws FAILED_PRECONDITION that says what is wrong.
 */
export function checkMapping(pid: number, base: number, byteLength: number, fileFd: number): CheckedMapping {
  const file = fileName(fileFd)
  const areas = parseSmaps(read(pid, 'smaps')).filter((area) => area.file === file)
  const own = areas.find(({ start, end }) => start <= base && end >= base + byteLength)
  if (own === undefined) throw refuse('the sender does not map the heap there')
  if (!own.permissions.endsWith('s')) throw refuse('the sender has a private copy of the heap there')
  for (const flag of ['um', 'uw', 'ui']) if (!own.flags.includes(flag)) throw refuse(`the sender's mapping is not watched (${flag} is missing in VmFlags)`)
  // Else a page would be sealed by one address and written by that of another page.
  if (own.offset + (base - own.start) !== 0) throw refuse('the sender maps other pages of the heap\'s file there')
  // What shows other parts of the file harms nobody.
  if (areas.some((area) => area !== own && area.offset < byteLength)) throw refuse('the sender maps the heap a second time')
  const pinned = /^VmPin:\s+(\d+) kB$/m.exec(read(pid, 'status'))?.[1]
  return { isFinal: own.flags.includes('sl'), keptFromChildren: own.flags.includes('dc'), pinnedBytes: Number(pinned ?? 0) * 1024 }
}

/**
 * Checks in /proc that a process runs under a filter of system calls that it cannot take off, and that the kernel writes to none of its
 * pages. Throws FAILED_PRECONDITION that says what is wrong.
 * @param tracer the process that must have it in its hands, so that the program has not begun.
 */
export function checkConfinement(pid: number, pinnedBytes: number, tracer?: number): void {
  const status = read(pid, 'status')
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)$`, 'm').exec(status)?.[1] ?? Number.NaN)
  if (field('Seccomp') !== SECCOMP_FILTER || field('NoNewPrivs') !== 1) throw refuse('the program runs without the filter of system calls')
  if (tracer !== undefined && field('TracerPid') !== tracer) throw refuse('the program is not in the hands of its launcher')
  if (pinnedBytes > 0) throw refuse(`the program has ${pinnedBytes} bytes that the kernel writes to`)
}
/** Source: proc_pid_status(5), Seccomp. */
const SECCOMP_FILTER = 2

/** Source: makedev(3), and the kernel's own form in /proc. */
function fileName(fd: number): string {
  const { dev, ino } = fstatSync(fd)
  const major = Math.floor(dev / 256) & 0xfff
  const minor = (dev & 0xff) | (Math.floor(dev / 4096) & 0xfff00)
  const hex = (number: number): string => number.toString(16).padStart(2, '0')
  return `${hex(major)}:${hex(minor)} ${ino}`
}

/** Whether a page of another process is write-protected by userfaultfd. Source: Documentation/admin-guide/mm/pagemap.rst, bit 57. */
function isWriteProtected(pid: number, address: number): boolean {
  const entry = Buffer.alloc(8)
  const fd = openSync(`/proc/${pid}/pagemap`, 'r')
  try {
    if (readSync(fd, entry, 0, 8, (address / PAGE_BYTES) * 8) !== 8) return false
  } finally {
    closeSync(fd)
  }
  return (entry[7]! & 2) !== 0
}

/**
 * That the kernel lets us protect pages is not enough: they must be that process's. Protects its first sealable page, at an address, and lifts
 * that again. Throws FAILED_PRECONDITION when the process's page was not touched.
 */
export function probeProtection(guard: { protect(page: number, pages: number, protect: boolean): number }, pid: number, address: number): void {
  const error = guard.protect(0, 1, true)
  const works = error === 0 && isWriteProtected(pid, address)
  guard.protect(0, 1, false)
  if (!works || isWriteProtected(pid, address)) throw refuse(`the userfaultfd does not protect the sender's memory (errno ${error})`)
}

/** Mappings are described in some 700 bytes each: for a process that makes tens of thousands the sealer's other senders would wait. */
const DESCRIPTION_MAX = 8 << 20

function read(pid: number, name: string): string {
  let fd = -1
  try {
    fd = openSync(`/proc/${pid}/${name}`, 'r')
    const parts: Buffer[] = []
    let length = 0
    for (let got = 1; got > 0 && length <= DESCRIPTION_MAX; length += got) {
      const part = Buffer.allocUnsafe(1 << 16)
      got = readSync(fd, part)
      parts.push(part.subarray(0, got))
    }
    if (length <= DESCRIPTION_MAX) return Buffer.concat(parts).toString('latin1')
  } catch (cause) {
    throw new RpcError('FAILED_PRECONDITION', `the sender's memory cannot be looked at (${String(cause)}): the sealer must be root or of the sender's user`, { cause })
  } finally {
    if (fd >= 0) closeSync(fd)
  }
  throw refuse('the sender has too many mappings to look at them all')
}

function refuse(why: string): RpcError {
  return new RpcError('FAILED_PRECONDITION', `${why}: its seals could not be relied on`)
}
