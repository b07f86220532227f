// Every attack on a sealed page, and what it needs: the one table from which both the hostile suite and the documentation's promise are made.
import type { Hole, Strength } from '../../../src/safety/seals/strength.js'

export interface AttackRow {
  /** Its name in attacks.c. */
  readonly name: string
  /** It changes a sealed page when the connection's strength names one of these holes; else it must not. */
  readonly through?: readonly Hole[]
  /** Where the kernel tells of it, or the attacker hangs in it, before the receiver verifies: no seal comes about that could be relied on. */
  readonly prevents?: boolean
  /** The sealer does not let a sender attach like this: its seals would hold nothing. */
  readonly refused?: boolean
  /** Against cooperative seals it fails: mprotect of the page alone is in its way. */
  readonly fails?: boolean
  /** Why it changes no page that nothing protects: the others must, or they would not be attacks. */
  readonly harmless?: string
  /** It is carried out by another process of the attacker's user, which nobody has confined: begun before the seal, or not. */
  readonly accomplice?: 'at once' | 'held up'
  /** Not every machine has what it uses: where it is missing, the attacker says so. */
  readonly optional?: true
  /** What it takes besides: the device that a root's sealer hands out, or a file system whose reads wait. */
  readonly needs?: 'device' | 'slow file'
}

const UNDOES = 'it undoes what is not there'
const FORBIDDEN = 'the kernel lets only the privileged do it'

export const ATTACKS: readonly AttackRow[] = [
  { name: 'store', fails: true },
  { name: 'store by a second thread', fails: true },
  { name: 'store by a process that shares the memory', fails: true },
  { name: 'store by a child of vfork', fails: true },
  { name: 'mprotect to read-only and back' },
  { name: 'mprotect to nothing and back' },
  { name: 'mremap: move', through: ['remap'], fails: true },
  { name: 'mremap: move and keep', through: ['remap'], fails: true },
  { name: 'mremap: double after the seal', through: ['remap'], fails: true },
  { name: 'mremap: double before the seal, untouched', through: ['remap'], prevents: true },
  { name: 'mremap: double before the seal, touched', through: ['remap'], prevents: true },
  { name: 'mremap: two pages change places before the seal', through: ['remap'], prevents: true },
  { name: 'fork after the seal', through: ['fork'], fails: true },
  { name: 'fork before the seal', through: ['fork'] },
  { name: 'exec after the seal', through: ['open-file'] },
  { name: 'write to /proc/self/mem', fails: true },
  { name: 'process_vm_writev to itself', fails: true },
  { name: 'process_vm_writev by a peer', fails: true },
  { name: 'ptrace by a peer', fails: true },
  { name: 'write to /proc/PID/mem by a peer', fails: true },
  { name: 'mmap of a kept descriptor', through: ['open-file'] },
  { name: 'mmap of a kept descriptor in its place', through: ['open-file'] },
  { name: 'write to a kept descriptor', through: ['open-file'] },
  { name: 'reopen a kept descriptor', through: ['open-file'] },
  { name: 'punch a hole by a kept descriptor', through: ['open-file'] },
  { name: 'truncate a kept descriptor', fails: true, harmless: 'a heap\'s file never shrinks' },
  { name: 'splice to a kept descriptor', through: ['open-file'] },
  { name: 'an accomplice\'s earlier mapping', through: ['kept-file'] },
  { name: 'MADV_REMOVE', through: ['open-file'] },
  { name: 'MADV_REMOVE and store', through: ['open-file'] },
  { name: 'MADV_DONTNEED and store', fails: true },
  { name: 'MADV_DONTNEED_LOCKED and store', fails: true },
  { name: 'MADV_DONTNEED before the seal', fails: true },
  { name: 'MADV_PAGEOUT and store', fails: true },
  { name: 'MADV_PAGEOUT before the seal', fails: true },
  { name: 'MADV_POPULATE_WRITE and store', fails: true },
  { name: 'MADV_COLLAPSE and store', fails: true },
  { name: 'guard page after the seal', fails: true },
  { name: 'guard page before the seal, removed after', fails: true },
  { name: 'remap_file_pages', through: ['open-file'] },
  { name: 'remap_file_pages before the seal', through: ['open-file'] },
  { name: 'mprotect, remap_file_pages, mprotect', through: ['open-file'] },
  { name: 'mlock, munlock and store', fails: true },
  { name: 'futex wake operation', fails: true },
  { name: 'read(2) into the page', fails: true },
  { name: 'readv(2) into the page', fails: true },
  { name: 'recv(2) into the page', fails: true },
  { name: 'vmsplice gift before, pipe write after', fails: true, harmless: 'the kernel does not write to pages that a pipe was given' },
  { name: 'vmsplice out of a pipe', fails: true },
  { name: '/proc/self/map_files', fails: true, harmless: FORBIDDEN },
  { name: '/proc/PID/map_files in a user namespace of its own', fails: true, harmless: FORBIDDEN },
  { name: 'kept userfaultfd: lift', through: ['kept-userfaultfd'], fails: true, harmless: UNDOES },
  { name: 'kept /dev/userfaultfd: lift', through: ['kept-userfaultfd'], fails: true, harmless: UNDOES, needs: 'device' },
  { name: 'own userfaultfd: lift', through: ['own-userfaultfd'], fails: true, harmless: UNDOES },
  { name: 'a userfaultfd whose readers wait, store', fails: true },
  { name: 'kept userfaultfd: make its readers wait, fork', through: ['fork'], fails: true },
  { name: 'own userfaultfd: unregister', fails: true },
  { name: 'own userfaultfd: register and lift', fails: true },
  { name: 'own userfaultfd: guard page, fill it writable', through: ['own-userfaultfd'], fails: true, harmless: UNDOES },
  { name: 'own userfaultfd: forget the page, fill it writable', through: ['own-userfaultfd'], fails: true, harmless: UNDOES },
  { name: 'own userfaultfd: double the page, fill it writable', fails: true, harmless: UNDOES },
  { name: 'own userfaultfd by 32-bit system calls: lift', through: ['own-userfaultfd'], fails: true, optional: true, harmless: UNDOES },
  { name: 'io_uring buffer from before the seal', through: ['pinned-pages'] },
  { name: 'io_uring buffer from after the seal', fails: true },
  { name: 'io_uring read', fails: true },
  { name: 'direct read held up since before the seal', through: ['pinned-pages'], needs: 'slow file' },
  { name: 'direct reads of other system calls held up since before the seal', through: ['pinned-pages'], needs: 'slow file' },
  { name: 'process_vm_writev held up since before the seal', through: ['pinned-pages'], needs: 'device' },
  { name: 'process_vm_writev by an unconfined process', fails: true, accomplice: 'at once' },
  { name: 'process_vm_writev by an unconfined process, held up since before the seal', through: ['pinned-pages'], needs: 'slow file', accomplice: 'held up' },
  { name: 'PR_SET_DUMPABLE, process_vm_writev by an unconfined process, held up', through: ['pinned-pages'], needs: 'slow file', accomplice: 'held up' },
  { name: 'release before the call is complete' },
  { name: 'mark the call complete, release', through: ['same-user'] },
  { name: 'seal again over it, release that' },
  { name: 'release other descriptors, and none' },
  { name: 'attach a private mapping', refused: true },
  { name: 'attach other pages of the file', refused: true },
  { name: 'attach two pages that have changed places', refused: true },
  { name: 'attach with a second mapping beside it', refused: true },
  { name: 'attach with a second mapping elsewhere', refused: true },
  { name: 'attach with a harmless mapping and one elsewhere', refused: true },
  { name: 'attach another file', refused: true },
  { name: 'attach memory of no file', refused: true },
  { name: 'attach half of the file', refused: true },
  { name: 'attach more than the receiver', refused: true },
  { name: 'attach without a userfaultfd', refused: true },
  { name: 'attach with a pipe for a userfaultfd', refused: true },
  { name: 'attach with a userfaultfd that is set up', refused: true },
  { name: 'attach with a child\'s userfaultfd', refused: true },
]

export type Expected = 'held' | 'not held' | 'refused' | 'none'

/** What must come of an attack against a connection of this strength; none where nobody checks how a sender attaches. */
export function expectedOf({ through = [], fails = false, refused = false }: AttackRow, { kind, except }: Strength): Expected {
  if (refused) return kind === 'cooperative' ? 'none' : 'refused'
  if (kind === 'cooperative') return fails ? 'held' : 'not held'
  return through.some((hole) => except.includes(hole)) ? 'not held' : 'held'
}
