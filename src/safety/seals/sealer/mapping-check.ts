import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { RpcError } from '../../../base/errors.js'
import { PAGE_BYTES } from '../../../base/numbers.js'

/** One mapping of a process. */
interface MappedArea {
  readonly start: number
  readonly end: number
  readonly permissions: string
  /** Where in the file it begins, in bytes. */
  readonly offset: number
}

/** A process's mappings of a file, in the order of their addresses. Source: proc_pid_maps(5). */
function areasOf(pid: number, file: string): MappedArea[] {
  const text = read(pid, 'maps')
  const areas: MappedArea[] = []
  // Of tens of thousands of lines few are looked at closely.
  for (let at = text.indexOf(file); at >= 0; at = text.indexOf(file, at)) {
    const line = text.slice(text.lastIndexOf('\n', at) + 1, at += file.length)
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) (\S+ \d+)$/.exec(line)
    // Else it is part of another one's number, or of a name.
    if (head?.[5] !== file || text[at] !== ' ') continue
    const [start, end, offset] = [head[1]!, head[2]!, head[4]!].map((hex) => Number.parseInt(hex, 16)) as [number, number, number]
    areas.push({ start, end, permissions: head[3]!, offset })
  }
  return areas
}

/**
 * Checks in /proc that a process maps the file's beginning at the range, as its receiver does, once and nowhere else. Throws FAILED_PRECONDITION
 * that says what is wrong. What more the kernel knows of a mapping (smaps) it finds out page by page, of all that the process has, while
 * other senders would wait; that its pages are watched by the userfaultfd is shown by setting that up, and by {@link probeProtection}.
 */
export function checkMapping(pid: number, base: number, byteLength: number, fileFd: number): void {
  const areas = areasOf(pid, fileName(fileFd))
  const own = areas.find(({ start, end }) => start <= base && end >= base + byteLength)
  if (own === undefined) throw refuse('the sender does not map the heap there')
  if (!own.permissions.endsWith('s')) throw refuse('the sender has a private copy of the heap there')
  // Else a page would be sealed by one address and written by that of another page.
  if (own.offset + (base - own.start) !== 0) throw refuse('the sender maps other pages of the heap\'s file there')
  // What shows other parts of the file harms nobody.
  if (areas.some((area) => area !== own && area.offset < byteLength)) throw refuse('the sender maps the heap a second time')
}

/** What must be noted of a prepared heap's mapping, and what it means that it is missing. Source: proc_pid_smaps(5), VmFlags. */
const FLAGS = {
  um: 'the prepared heap is not watched', uw: 'the prepared heap is not watched', ui: 'the prepared heap is not watched',
  sl: 'the prepared heap\'s mapping is not final: mseal needs Linux 6.10', dc: 'children of the program would get the prepared heap',
} as const

/** Checks what a launcher has the kernel note of the mapping that begins at an address. Throws FAILED_PRECONDITION that says what is missing. */
export function checkPrepared(pid: number, address: number): void {
  const lines = read(pid, 'smaps').split('\n')
  const from = lines.findIndex((line) => line.startsWith(`${address.toString(16)}-`))
  const noted = from < 0 ? undefined : lines.slice(from).find((line) => line.startsWith('VmFlags: '))
  const flags = noted?.split(' ') ?? []
  for (const [flag, missing] of Object.entries(FLAGS)) if (!flags.includes(flag)) throw refuse(`${missing} (${flag} is missing in VmFlags)`)
}

/**
 * Checks in /proc that a process runs under a filter of system calls that it cannot take off, and that the kernel writes to none of its
 * pages. Throws FAILED_PRECONDITION that says what is wrong.
 * @param tracer the process that must have it in its hands, so that the program has not begun.
 */
export function checkConfinement(pid: number, tracer?: number): void {
  const status = statusOf(pid)
  if (status.get('Seccomp') !== SECCOMP_FILTER || status.get('NoNewPrivs') !== 1) throw refuse('the program runs without the filter of system calls')
  if (tracer !== undefined && status.get('TracerPid') !== tracer) throw refuse('the program is not in the hands of its launcher')
  const pinned = status.get('VmPin') ?? 0
  if (pinned > 0) throw refuse(`the program has ${pinned} kB that the kernel writes to`)
}

/**
 * The fields that are one number, some in kB. A process chooses its own name, the first field, of which the kernel masks line feeds alone: other ends of
 * lines, which `^` and `$` would take for such, are a part of it.
 */
function statusOf(pid: number): ReadonlyMap<string, number> {
  const fields = read(pid, 'status').split('\n').map((line) => /^(\w+):\s+(\d+)(?: kB)?$/.exec(line))
  return new Map(fields.flatMap((field) => (field === null ? [] : [[field[1]!, Number(field[2])]])))
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

/** Mappings are described in some 80 bytes each, or 700 in smaps: for a process that makes tens of thousands the sealer's other senders would wait. */
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
