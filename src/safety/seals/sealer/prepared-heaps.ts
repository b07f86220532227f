import { RpcError } from '../../../base/errors.js'
import { addon, hasEnded } from '../../../sys/index.js'
import { heapKey, type KeptHeap, type SealerRequest } from '../messages.js'
import { checkConfinement, checkMapping, checkPrepared, probeProtection } from './mapping-check.js'
import { closeFile, type Identity, type SealedHeap } from './sealed-heap.js'
import type { SealerLink } from './sealer-link.js'
import { isPrivileged, UserfaultGuard } from './userfault.js'

type Attest = Extract<SealerRequest, { type: 'attest' }>
type Range = Pick<Attest, 'address' | 'byteLength'>

const FOUND_BREAKING = 'its program was found at something that breaks seals'

/** A heap in a confined program, and its userfaultfd, which outlives the connections that use it. */
export class PreparedHeap {
  /** What seals it at present. */
  user: SealedHeap | undefined
  /** Watches it while nobody seals it: a fault in it is answered, and what breaks seals is noticed. */
  #guard: UserfaultGuard | undefined
  #broken: string | undefined
  #open = true
  readonly #userfault: number

  /**
   * Takes over the userfaultfd, also when it throws; the heap's file stays the caller's. Verifies what makes its seals enforced.
   * Throws FAILED_PRECONDITION when they could not be relied on.
   * @param user what seals the heap already, for a sealer that came after another one.
   */
  constructor(readonly launcher: SealerLink, readonly range: Attest, userfault: number, file: number, user: SealedHeap | undefined) {
    const { pid, address, stage } = range
    const first = stage === 'stopped'
    this.#userfault = userfault
    this.user = user
    if (stage === 'broken') this.#broken = FOUND_BREAKING
    else if (user?.isBroken === true) this.break(FOUND_BREAKING)
    try {
      const guard = this.#watchOver(addon.duplicateFd(userfault), first)
      if (user === undefined) this.#guard = guard
      else guard.close()
      verify(range, file, first ? launcher.credentials.pid : undefined)
      if (user === undefined) probeProtection(guard, pid, address)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** A userfaultfd for whoever seals the heap from now on, the caller's. Throws FAILED_PRECONDITION when seals would not count. */
  lend(): number {
    if (!this.#open) throw new RpcError('FAILED_PRECONDITION', 'the launcher of this process has ended: its prepared heaps serve no further connection')
    this.#guard?.drain()
    if (this.#broken !== undefined) throw new RpcError('FAILED_PRECONDITION', `${this.#broken}: the seals of this prepared heap do not count any more`)
    this.#guard?.close()
    this.#guard = undefined
    return addon.duplicateFd(this.#userfault)
  }

  /** Its seals do not count any more, nor at the next sealer, which its launcher tells. */
  break(why: string): void {
    if (this.#broken !== undefined) return
    this.#broken = why
    const { pid, address } = this.range
    this.launcher.send({ type: 'broken', pid, address })
  }

  /** Nobody seals it any more. */
  takeBack(): void {
    this.user = undefined
    if (this.#open) this.#guard ??= this.#watchOver(addon.duplicateFd(this.#userfault), false)
  }

  /** Takes over the userfaultfd, also when it throws. */
  #watchOver(userfault: number, first: boolean): UserfaultGuard {
    const { address, byteLength } = this.range
    const events = { isSealed: () => false, broken: (why: string) => this.break(why) }
    try {
      return first ? UserfaultGuard.setUp(userfault, address, byteLength, isPrivileged(), events)
        : UserfaultGuard.resume(userfault, address, byteLength, { events: isPrivileged() }, events)
    } catch (error) {
      addon.closeFd(userfault)
      throw error
    }
  }

  close(): void {
    this.#open = false
    this.#guard?.close()
    this.#guard = undefined
    addon.closeFd(this.#userfault)
  }
}

/** The heaps of confined programs that their launchers told of, as long as these are linked. */
export class PreparedHeaps {
  readonly #heaps = new Map<string, PreparedHeap>()
  /** Ended heaps that were found broken while no launcher was there to hear it. */
  readonly #remembered = new Map<string, KeptHeap>()
  /** The keeper need not remember it any more. */
  readonly #forget: (key: string) => void

  constructor(forget: (key: string) => void) {
    this.#forget = forget
  }

  /** Takes over both descriptors. Who says that a process is confined must be trusted as this process is: it must be of the same user. */
  attest(link: SealerLink, request: Attest, userfault: number, file: number, sealed: Iterable<SealedHeap>): void {
    let own = userfault
    try {
      const key = keyOf(request.pid, request)
      if (link.credentials.uid !== process.geteuid?.() || this.#heaps.has(key)) {
        throw new RpcError('PERMISSION_DENIED', 'only a launcher of the sealer\'s own user can say that a process is confined, and once')
      }
      let user: SealedHeap | undefined
      for (const heap of sealed) if (heap.kept.senderPid === request.pid && heap.kept.address === request.address) user = heap
      own = -1
      const prepared = new PreparedHeap(link, request, userfault, file, user)
      this.#heaps.set(key, prepared)
      // What has not begun yet did nothing: its number was another process's.
      if (this.#forgetBroken(key) && request.stage !== 'stopped') prepared.break(FOUND_BREAKING)
    } finally {
      if (own >= 0) addon.closeFd(own)
      addon.closeFd(file)
    }
  }

  /** Whether a launcher told of this process. */
  isLaunched(pid: number, uid: number): boolean {
    for (const { range } of this.#heaps.values()) if (range.pid === pid && range.uid === uid) return true
    return false
  }

  /** The one of this process at this range: a process that took another user since is none that a launcher told of. Throws FAILED_PRECONDITION. */
  of({ pid, uid }: Identity, range: Range): PreparedHeap {
    const heap = this.#heaps.get(keyOf(pid, range))
    if (heap?.range.byteLength === range.byteLength && heap.range.uid === uid) return heap
    throw new RpcError('FAILED_PRECONDITION', 'no launcher prepared this heap for this process')
  }

  /** The seals of a sealed heap are broken: those of whatever comes after it, too, if it was prepared. */
  broken(heap: SealedHeap): void {
    const prepared = this.#heaps.get(keyOf(heap.kept.senderPid, heap.kept))
    if (prepared?.user === heap) prepared.break(FOUND_BREAKING)
  }

  /** Of a broken heap that has ended. False when it need not be remembered: its launcher, who else will come, knows that its seals do not count. */
  remember(kept: KeptHeap): boolean {
    const name = keyOf(kept.senderPid, kept)
    if (kept.confined === 'no' || this.#heaps.has(name) || hasEnded(kept.senderPid)) return false
    for (const [other, { senderPid }] of this.#remembered) if (hasEnded(senderPid)) this.#forgetBroken(other)
    this.#remembered.set(name, kept)
    return true
  }

  #forgetBroken(name: string): boolean {
    const kept = this.#remembered.get(name)
    if (kept === undefined) return false
    this.#remembered.delete(name)
    this.#forget(heapKey(kept))
    return true
  }

  /** A sealed heap has ended: what it used is free, if it was prepared. */
  ended(heap: SealedHeap): PreparedHeap | undefined {
    const prepared = this.#heaps.get(keyOf(heap.kept.senderPid, heap.kept))
    if (prepared?.user !== heap) return undefined
    prepared.takeBack()
    return prepared
  }

  /** What this launcher prepared serves no further connection. */
  leave(link: SealerLink): void {
    for (const [key, heap] of this.#heaps) {
      if (heap.launcher !== link) continue
      this.#heaps.delete(key)
      heap.close()
    }
  }

  close(): void {
    for (const heap of this.#heaps.values()) heap.close()
    this.#heaps.clear()
  }
}

function verify({ pid, address, byteLength }: Attest, file: number, tracer: number | undefined): void {
  if (!closeFile(file)) throw new RpcError('FAILED_PRECONDITION', 'the prepared heap\'s file was made final before it was closed to writers')
  checkMapping(pid, address, byteLength, file)
  // Before it begins, and once: nothing undoes that, and of a program that runs the kernel would look at all pages, while other senders wait.
  if (tracer !== undefined) checkPrepared(pid, address)
  checkConfinement(pid, tracer)
}

function keyOf(pid: number, { address }: Pick<Range, 'address'>): string {
  return `${pid}/${address.toString(16)}`
}
