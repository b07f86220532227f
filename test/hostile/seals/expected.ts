// Every attack on a sealed page, and what it needs: the one table from which both the hostile suite and the documentation's promise are made.
import type { Hole, Strength } from '../../../src/safety/seals/strength.js'

export interface AttackRow {
  /** Its name in attacks.c. */
  readonly name: string
  /** It changes a sealed page, or may, when the connection's strength names one of these holes; else it must not. */
  readonly through?: readonly Hole[]
  /** A race: it may also fail where it could succeed. */
  readonly race?: boolean
  /** Where the kernel tells of it, or the attacker hangs in it, before the receiver verifies: no seal comes about that could be relied on. */
  readonly prevents?: boolean
}

export const ATTACKS: readonly AttackRow[] = [
  { name: 'store' },
  { name: 'store by a second thread' },
  { name: 'store by a process that shares the memory' },
  { name: 'mprotect to read-only and back' },
  { name: 'mprotect to nothing and back' },
  { name: 'mremap: move', through: ['remap'] },
  { name: 'mremap: move and keep', through: ['remap'] },
  { name: 'mremap: double after the seal', through: ['remap'] },
  { name: 'mremap: double before the seal, untouched', through: ['remap'], prevents: true },
  { name: 'mremap: double before the seal, touched', through: ['remap'], prevents: true },
  { name: 'fork after the seal', through: ['fork'] },
  { name: 'fork before the seal', through: ['fork'] },
  { name: 'write to /proc/self/mem' },
  { name: 'process_vm_writev to itself' },
  { name: 'process_vm_writev by a peer' },
  { name: 'ptrace by a peer' },
  { name: 'mmap of a kept descriptor', through: ['open-file'] },
  { name: 'write to a kept descriptor', through: ['open-file'] },
  { name: 'reopen a kept descriptor', through: ['open-file'] },
  { name: 'punch a hole by a kept descriptor', through: ['open-file'] },
  { name: 'truncate a kept descriptor' },
  { name: 'splice to a kept descriptor', through: ['open-file'] },
  { name: 'an accomplice\'s earlier mapping', through: ['kept-file'] },
  { name: 'MADV_REMOVE', through: ['open-file'] },
  { name: 'MADV_REMOVE and store', through: ['open-file'] },
  { name: 'MADV_DONTNEED and store' },
  { name: 'MADV_DONTNEED_LOCKED and store' },
  { name: 'MADV_DONTNEED before the seal' },
  { name: 'MADV_PAGEOUT and store' },
  { name: 'MADV_PAGEOUT before the seal' },
  { name: 'MADV_POPULATE_WRITE' },
  { name: 'MADV_COLLAPSE and store' },
  { name: 'guard page after the seal' },
  { name: 'guard page before the seal, removed after' },
  { name: 'remap_file_pages', through: ['remap'] },
  { name: 'mlock, munlock and store' },
  { name: 'futex wake operation' },
  { name: 'read(2) into the page' },
  { name: 'readv(2) into the page' },
  { name: 'recv(2) into the page' },
  { name: 'vmsplice gift before, pipe write after' },
  { name: 'vmsplice out of a pipe' },
  { name: '/proc/self/map_files' },
  { name: 'kept userfaultfd: lift', through: ['kept-userfaultfd'] },
  { name: 'kept /dev/userfaultfd: lift', through: ['kept-userfaultfd'] },
  { name: 'own userfaultfd: lift', through: ['own-userfaultfd'] },
  { name: 'own userfaultfd: unregister' },
  { name: 'own userfaultfd: register and lift' },
  { name: 'io_uring buffer from before the seal', through: ['pinned-pages'] },
  { name: 'direct reads in flight', through: ['pinned-pages'], race: true },
]

export type Expected = 'held' | 'not held' | 'either'

/** What must come of an attack against a connection of this strength. */
export function expectedOf({ through = [], race = false }: AttackRow, { kind, except }: Strength): Expected {
  if (kind === 'cooperative') return 'either'
  if (!through.some((hole) => except.includes(hole))) return 'held'
  return race ? 'either' : 'not held'
}
