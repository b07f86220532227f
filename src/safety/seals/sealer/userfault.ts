import { RpcError } from '../../../base/errors.js'
import { PAGE_BYTES, type Address } from '../../../base/numbers.js'
import { addon, errnoCode, watch, type Watch } from '../../../sys/index.js'

// Source: userfaultfd(2), ioctl_userfaultfd(2), linux/userfaultfd.h.
const FEATURE_WP = 1
const FEATURE_EVENT_FORK = 1 << 1
const FEATURE_EVENT_REMAP = 1 << 2
const FEATURE_MISSING_SHMEM = 1 << 5
const FEATURE_MINOR_SHMEM = 1 << 10
const FEATURE_WP_SHMEM = 1 << 12
const FEATURE_WP_UNPOPULATED = 1 << 13
const MODE_MISSING = 1
const MODE_WP = 2
const MODE_MINOR = 4
const EVENT_PAGEFAULT = 0x12
const EVENT_FORK = 0x13
const EVENT_REMAP = 0x14
const FAULT_WP = 2
const FAULT_MINOR = 4
const CONTINUE_WP = 2
const EAGAIN = 11
const EEXIST = 17

/** Attempts while an event that was just read still blocks the kernel; each takes microseconds. */
const ATTEMPTS_MAX = 10_000
/** Events of one process that are answered at a time: one whose threads fault without a pause must not keep the sealer from others. */
const EVENTS_MAX = 64
/** Forked children whose copy of the heap is kept protected. More is no accident. */
const CHILDREN_MAX = 16

/** Whether this process may ask for the events of forks and remaps. */
export function isPrivileged(): boolean {
  return process.geteuid?.() === 0
}

export interface GuardEvents {
  /** The page is sealed now: asked while a fault in it is answered. */
  isSealed(page: number): boolean
  /** The sender did what breaks seals. Called once. */
  broken(why: string): void
}

/** What the kernel granted: each false one leaves a hole. */
export interface GuardFeatures {
  /** Children and second mappings are noticed. */
  readonly events: boolean
}

/**
 * Write protection of a sender's pages by its userfaultfd, which this process holds. The order in which it is set up, and every flag,
 * is what held against the attacks of the hostile suite; see ARCHITECTURE.md, Seals.
 */
export class UserfaultGuard {
  readonly features: GuardFeatures
  readonly #fd: number
  readonly #base: Address
  readonly #byteLength: number
  readonly #events: GuardEvents
  readonly #children: number[] = []
  readonly #readersWaited: boolean
  #watch: Watch | undefined
  #open = true
  #broken = false

  /**
   * Takes over a descriptor that its process made and did not set up, unless it throws: FAILED_PRECONDITION when the kernel refuses.
   * @param privileged whether this process may ask for the events of forks and remaps (CAP_SYS_PTRACE)
   */
  static setUp(fd: number, base: Address, byteLength: number, privileged: boolean, events: GuardEvents): UserfaultGuard {
    const features = FEATURE_WP | FEATURE_WP_SHMEM | FEATURE_WP_UNPOPULATED | FEATURE_MINOR_SHMEM | FEATURE_MISSING_SHMEM
    try {
      addon.userfaultApi(fd, privileged ? features | FEATURE_EVENT_FORK | FEATURE_EVENT_REMAP : features)
      // MINOR and MISSING: a second mapping has no entries of its own, and each first access to it comes here.
      addon.userfaultRegister(fd, base, byteLength, MODE_WP | MODE_MINOR | MODE_MISSING)
    } catch (cause) {
      throw new RpcError('FAILED_PRECONDITION', `the kernel cannot protect this memory by userfaultfd (${String(cause)}); Linux 6.4 or newer is needed`, { cause })
    }
    return new UserfaultGuard(fd, base, byteLength, { events: privileged }, events)
  }

  /** Takes over a descriptor that was set up before, by another guard, unless it throws. */
  static resume(fd: number, base: Address, byteLength: number, features: GuardFeatures, events: GuardEvents): UserfaultGuard {
    const guard = new UserfaultGuard(fd, base, byteLength, features, events)
    // The guard before saw to it: nobody but a kept copy can have changed it.
    if (guard.#readersWaited) guard.#stopListening()
    return guard
  }

  private constructor(fd: number, base: Address, byteLength: number, features: GuardFeatures, events: GuardEvents) {
    this.#fd = fd
    this.#base = base
    this.#byteLength = byteLength
    this.features = features
    this.#events = events
    // However it was made: nothing here may wait for its maker.
    this.#readersWaited = addon.setNonBlocking(fd)
    this.#watch = watch(fd, () => this.drain())
  }

  get fd(): number {
    return this.#fd
  }

  /** Protects or frees pages. Returns an errno; the range may then be half done. */
  protect(page: number, pages: number, protect: boolean): number {
    const address = this.#base + page * PAGE_BYTES
    for (const child of this.#children) addon.writeProtect(child, address, pages * PAGE_BYTES, protect)
    for (let attempt = 0; ; attempt++) {
      const error = addon.writeProtect(this.#fd, address, pages * PAGE_BYTES, protect)
      if (error !== EAGAIN || attempt >= ATTEMPTS_MAX || this.#watch === undefined) return error
      // A fork or remap waits to be heard: first its memory is dealt with, then the range is protected.
      this.drain()
    }
  }

  /** Answers what has happened in the sender: as much as is answered in a moment, the rest has its turn later. */
  drain(): void {
    if (this.#watch === undefined) return
    if (addon.setNonBlocking(this.#fd)) return this.#stopListening()
    for (const fd of [this.#fd, ...this.#children]) {
      let event = this.#read(fd)
      for (let count = 1; event !== undefined; event = count++ < EVENTS_MAX ? this.#read(fd) : undefined) this.#answer(fd, event)
    }
  }

  /** Ends the guard; unless another process holds the descriptor too, all protection is lifted. Idempotent. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#watch?.close()
    this.#watch = undefined
    for (const fd of [this.#fd, ...this.#children.splice(0)]) addon.closeFd(fd)
  }

  /**
   * The sender kept its userfaultfd, and made its readers wait: the kernel reports that as an error that never ends. Nobody listens any more:
   * what is sealed stays sealed, and its forks wait.
   */
  #stopListening(): void {
    this.#watch?.close()
    this.#watch = undefined
    this.#break('its userfaultfd was made one whose readers wait')
  }

  #read(fd: number): ReturnType<typeof addon.readUserfaultEvent> {
    try {
      return addon.readUserfaultEvent(fd)
    } catch (error) {
      if (errnoCode(error) === undefined) throw error
      // The process has gone: its socket says so too.
      return undefined
    }
  }

  #answer(fd: number, [event, a, b]: [event: number, a: number, b: number, c: number]): void {
    if (event === EVENT_PAGEFAULT) this.#fault(fd, a, b)
    else if (event === EVENT_FORK) this.#fork(a)
    else if (event === EVENT_REMAP) this.#break('its heap was mapped a second time, or moved')
  }

  #fault(fd: number, flags: number, address: number): void {
    // A store to a sealed page: it waits until the release.
    if ((flags & FAULT_WP) !== 0) return
    const start = address - address % PAGE_BYTES
    const page = (start - this.#base) / PAGE_BYTES
    const inside = page >= 0 && page < this.#byteLength / PAGE_BYTES
    // A mapping elsewhere is nobody's by right; its access waits for ever.
    if (!inside) return this.#break('its heap is mapped elsewhere too')
    if ((flags & FAULT_MINOR) !== 0) {
      // Without the flag the page would come back writable.
      const error = addon.userfaultContinue(fd, start, PAGE_BYTES, this.#events.isSealed(page) ? CONTINUE_WP : 0)
      if (error !== 0 && error !== EEXIST && error !== EAGAIN) this.#break(`a fault could not be answered (errno ${error})`)
      return undefined
    }
    if (this.#events.isSealed(page)) return this.#break('a page was taken out of the heap while it was sealed')
    addon.userfaultZero(fd, start, PAGE_BYTES)
    return undefined
  }

  #fork(child: number): void {
    if (this.#children.length >= CHILDREN_MAX) {
      // Before it is closed, which lets the child write.
      this.#break(`more than ${CHILDREN_MAX} children inherited its heap`)
      addon.closeFd(child)
      return undefined
    }
    addon.setNonBlocking(child)
    this.#children.push(child)
    // All of it: pages that are sealed later must not be writable in the child either.
    const error = addon.writeProtect(child, this.#base, this.#byteLength, true)
    if (error !== 0 && error !== EAGAIN) this.#break(`the heap of a child could not be protected (errno ${error})`)
    return undefined
  }

  #break(why: string): void {
    if (this.#broken) return
    this.#broken = true
    this.#events.broken(why)
  }
}
