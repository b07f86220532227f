import { RpcError } from '../../../base/errors.js'
import { failureOf } from '../../../control/protocol/errors.js'
import { sealerLock, sealerSocket, openRuntimeDirectory, removeSocket } from '../../../control/place/runtime-directory.js'
import { notServed, Places } from '../../../control/place/places.js'
import { listenInDirectory, openToOthers, userId } from '../../../control/place/users.js'
import { Acceptor, addon, errnoCode, isMemoryFile, isUserfault } from '../../../sys/index.js'
import { KeeperLink, type KeptEntry } from './keeper-link.js'
import { Life } from '../life.js'
import { heapKey, type SenderAttachment, type SealerRequest } from '../messages.js'
import { Meetings, MEETING_MS, type ReceiverAtMeeting, type SenderAtMeeting } from './meetings.js'
import { PreparedHeaps } from './prepared-heaps.js'
import { closeFiles, SealedHeap } from './sealed-heap.js'
import { SealerLink } from './sealer-link.js'
import { SealingLoop } from './sealing-loop.js'

export interface SealerOptions {
  readonly directory: string
  /** How long the sealer stays when nobody is attached, in milliseconds. */
  readonly idleMs: number
  /** Users besides its own that are served; confined programs of any user are, when their launcher tells of them. */
  readonly users: ReadonlySet<number>
  readonly onEnd: () => void
}

type Ask<T extends SealerRequest['type']> = Extract<SealerRequest, { type: T }>

interface Ends {
  sender: SealerLink | undefined
  receiver: SealerLink | undefined
}

/** Sealed heaps at one sealer. */
const HEAPS_MAX = 16_384
const LINKS_MAX = 4096
/** Between attempts to start another keeper. */
const KEEPER_RETRY_MS = 500
const BACKLOG = 512

/**
 * The trusted process that seals: holds senders' userfaultfds, serves their rings, tells receivers what is sealed. A part of the daemon
 * that runs as a process of its own, so that nothing else delays it and the daemon's death does not touch it.
 */
export class Sealer {
  readonly #options: SealerOptions
  readonly #lock: number
  readonly #links = new Set<SealerLink>()
  readonly #places = new Places('sealer', LINKS_MAX)
  readonly #heaps = new Map<string, SealedHeap>()
  readonly #ends = new Map<SealedHeap, Ends>()
  readonly #meetings = new Meetings((key, sender, receiver) => this.#join(key, sender, receiver))
  readonly #prepared = new PreparedHeaps((key) => this.#keeper.forget(key))
  readonly #loop = new SealingLoop((heap) => this.#ends.get(heap)?.sender?.ring())
  readonly #ownLife = new Life()
  readonly #life = this.#ownLife.open()
  #keeper: KeeperLink
  readonly #acceptor: Acceptor
  #idleTimer: NodeJS.Timeout | undefined
  #open = true

  /** Starts a sealer in this process, or resolves with undefined when the directory has one already. */
  static async start(options: SealerOptions): Promise<Sealer | undefined> {
    openRuntimeDirectory(options.directory)
    const lock = addon.lockFile(sealerLock(options.directory))
    if (lock < 0) return undefined
    const lost: { tell(): void } = { tell: () => undefined }
    const { link, kept } = await KeeperLink.open(options.directory, () => lost.tell())
    const sealer = new Sealer(options, lock, link, kept)
    lost.tell = () => void sealer.replaceKeeper()
    // It may have died when there was no sealer to tell.
    if (!link.isOpen) lost.tell()
    return sealer
  }

  private constructor(options: SealerOptions, lock: number, keeper: KeeperLink, kept: readonly KeptEntry[]) {
    this.#options = options
    this.#lock = lock
    this.#keeper = keeper
    for (const { heap, files } of kept) this.#takeOver(heap, files)
    const path = sealerSocket(options.directory)
    removeSocket(path)
    if (options.users.size > 0) openToOthers(options.directory, [])
    this.#acceptor = new Acceptor(listenInDirectory(options.directory, path, BACKLOG), (fd) => this.#welcome(fd))
    this.#awaitIdleness()
  }

  stop(): void {
    if (!this.#open) return
    this.#open = false
    clearTimeout(this.#idleTimer)
    removeSocket(sealerSocket(this.#options.directory))
    this.#acceptor.close()
    this.#meetings.close()
    for (const link of this.#links) link.close()
    for (const heap of this.#heaps.values()) this.#end(heap)
    this.#prepared.close()
    this.#loop.close()
    this.#keeper.close()
    addon.closeFd(this.#life)
    addon.closeFd(this.#lock)
    this.#options.onEnd()
  }

  /** The keeper died: another one gets everything, and receivers hear that it holds their seals from now on. */
  async replaceKeeper(): Promise<void> {
    if (!this.#open) return
    this.#keeper.close()
    let opened: Awaited<ReturnType<typeof KeeperLink.open>>
    try {
      opened = await KeeperLink.open(this.#options.directory, () => void this.replaceKeeper())
    } catch (error) {
      // For want of processes or descriptors, perhaps: this one holds the seals meanwhile.
      if (!RpcError.is(error) && errnoCode(error) === undefined) throw error
      setTimeout(() => void this.replaceKeeper(), KEEPER_RETRY_MS)
      return
    }
    const { link, kept } = opened
    // Of a keeper that lives and lacked something only: this sealer has them.
    for (const { files } of kept) closeFiles(files)
    // Of one that has died, too, the successor is looked for already.
    if (!this.#open || !link.isOpen) return link.close()
    this.#keeper = link
    const isKept = await link.keepAll(this.#heaps.values(), (heap) => this.#heaps.get(heap.key) === heap)
    if (!isKept) return undefined
    for (const receiver of new Set([...this.#ends.values()].map((ends) => ends.receiver))) receiver?.send({ type: 'holder' }, [link.life])
    return undefined
  }

  #welcome(fd: number): void {
    const link = new SealerLink(fd, {
      request: (one, request, fds) => this.#request(one, request, fds),
      doorbell: (one) => this.#doorbell(one),
      gone: (one) => this.#leave(one),
    })
    this.#links.add(link)
    clearTimeout(this.#idleTimer)
    const refusal = this.#serves(link) ? this.#places.take(link, link.credentials.uid) : notServed('sealer', link.credentials)
    if (refusal !== undefined) link.drop(refusal)
  }

  #serves({ credentials: { pid, uid } }: SealerLink): boolean {
    return uid === userId() || this.#options.users.has(uid) || this.#prepared.isLaunched(pid, uid)
  }

  #doorbell(link: SealerLink): void {
    let isAsked = false
    for (const heap of link.sends) {
      if (!heap.requests.isAsked) continue
      isAsked = true
      this.#loop.wake(heap)
    }
    if (!isAsked && link.needless.add()) link.drop(new RpcError('RESOURCE_EXHAUSTED', 'this isolate wakes the sealer all the time, and asks for nothing'))
  }

  #request(link: SealerLink, request: Exclude<SealerRequest, { type: 'hello' }>, fds: number[]): void {
    switch (request.type) {
      case 'device': return this.#device(link, request)
      case 'attest': return this.#attest(link, request, fds)
      case 'attachSender': return this.#attachSender(link, request, fds)
      case 'attachReceiver': return this.#attachReceiver(link, request, fds)
      case 'resume': return this.#resume(link, request)
      case 'detach': return this.#detach(link, request)
      default: throw new RpcError('UNIMPLEMENTED', 'no such request')
    }
  }

  /** Not for a program that was confined: it may not use one, and must not have one to pass on. */
  #device(link: SealerLink, { id }: Ask<'device'>): void {
    const { pid, uid } = link.credentials
    if (this.#prepared.isLaunched(pid, uid)) return link.send({ type: 'device', id, granted: 'none' })
    let fd: number
    try {
      fd = addon.openUserfaultDevice()
    } catch (error) {
      if (errnoCode(error) === undefined) throw error
      return link.send({ type: 'device', id, granted: 'none' })
    }
    return link.give({ type: 'device', id, granted: 'device' }, fd)
  }

  #attest(link: SealerLink, request: Ask<'attest'>, fds: number[]): void {
    // Both before either is taken: what was taken is not closed with the others when this throws.
    requireThat(fds[0], isUserfault, 'userfaultfd')
    requireThat(fds[1], isMemoryFile, 'memory file')
    const [userfault, file] = fds.splice(0, 2)
    this.#prepared.attest(link, request, userfault!, file!, this.#heaps.values())
    link.send({ type: 'done', id: request.id })
  }

  #attachSender(link: SealerLink, request: SenderAttachment, fds: number[]): void {
    this.#checkRoom(request)
    const prepared = fds.length > 0 ? undefined : this.#prepared.of(link.credentials, request)
    this.#meetings.bring({ link, request, prepared, fd: prepared === undefined ? take(fds, isUserfault, 'userfaultfd') : -1 })
  }

  #attachReceiver(link: SealerLink, request: Ask<'attachReceiver'>, fds: number[]): void {
    this.#checkRoom(request)
    this.#meetings.bring({ link, request, fd: take(fds, isMemoryFile, 'memory file') })
  }

  #checkRoom(request: Parameters<typeof heapKey>[0]): void {
    if (this.#heaps.has(heapKey(request))) throw new RpcError('ALREADY_EXISTS', 'this end of the heap is attached already')
    if (this.#heaps.size + this.#meetings.count >= HEAPS_MAX) throw new RpcError('RESOURCE_EXHAUSTED', `the sealer seals ${HEAPS_MAX} heaps already`)
  }

  #join(key: string, sender: SenderAtMeeting, receiver: ReceiverAtMeeting): void {
    const { prepared } = sender
    let heap: SealedHeap
    try {
      heap = createHeap(sender, receiver)
    } catch (error) {
      if (!RpcError.is(error) && errnoCode(error) === undefined) throw error
      for (const { link, request } of [sender, receiver]) link.send({ type: 'error', id: request.id, ...failureOf(error) })
      return
    } finally {
      addon.closeFd(receiver.fd)
    }
    if (prepared !== undefined) prepared.user = heap
    const keeping = this.#keeper.keep(key, heap.kept, heap.files)
    this.#add(heap, { sender: sender.link, receiver: receiver.link })
    void keeping.then(() => this.#tellEnds(heap, sender, receiver))
  }

  /** Not before the keeper has it: it is named to the receiver as who holds the seals. */
  #tellEnds(heap: SealedHeap, sender: SenderAtMeeting, receiver: ReceiverAtMeeting): void {
    const refuse = (failure: unknown): void => {
      for (const { link, request } of [sender, receiver]) link.send({ type: 'error', id: request.id, ...failureOf(failure) })
    }
    if (this.#heaps.get(heap.key) !== heap) return refuse(new RpcError('UNAVAILABLE', 'the other end has gone'))
    const { except, descriptors } = heap.kept
    let readOnly: number
    try {
      readOnly = heap.openReadOnly()
    } catch (error) {
      // No descriptor is left.
      if (errnoCode(error) === undefined) throw error
      refuse(error)
      return this.#end(heap)
    }
    sender.link.send({ type: 'sending', id: sender.request.id, except }, [heap.files.requests, readOnly, heap.bell])
    addon.closeFd(readOnly)
    const holders = this.#holders(heap)
    receiver.link.send({ type: 'receiving', id: receiver.request.id, except, descriptors, holders: holders.length }, [heap.files.descriptors, ...holders])
    return undefined
  }

  #holders({ key }: SealedHeap): number[] {
    return this.#keeper.holds(key) ? [this.#life, this.#keeper.life] : [this.#life]
  }

  #add(heap: SealedHeap, ends: Ends): void {
    this.#heaps.set(heap.key, heap)
    this.#ends.set(heap, ends)
    heap.broke = () => this.#broke(heap)
    if (heap.isBroken) this.#broke(heap)
    ends.sender?.sends.add(heap)
    ends.receiver?.receives.add(heap)
    if (ends.sender !== undefined) this.#loop.wake(heap)
  }

  /** The keeper remembers it, for a sealer that comes before this one's launcher is told. */
  #broke(heap: SealedHeap): void {
    void this.#keeper.keep(heap.key, heap.kept, heap.files)
    this.#prepared.broken(heap)
  }

  /** From the keeper, after a restart: both ends have a while to come back. */
  #takeOver(kept: KeptEntry['heap'], files: KeptEntry['files']): void {
    if (kept.broken === 'ended') {
      closeFiles(files)
      if (!this.#prepared.remember(kept)) this.#keeper.forget(heapKey(kept))
      return
    }
    let heap: SealedHeap | undefined
    try {
      heap = SealedHeap.resume(kept, files)
    } catch (error) {
      // The keeper goes on: its ends are told when they come back.
      if (errnoCode(error) === undefined) throw error
      return
    }
    if (heap === undefined) {
      if (kept.broken === 'no' || !this.#prepared.remember(kept)) this.#keeper.forget(heapKey(kept))
      return
    }
    const taken = heap
    this.#add(taken, { sender: undefined, receiver: undefined })
    setTimeout(() => {
      const ends = this.#ends.get(taken)
      if (ends?.receiver === undefined) this.#end(taken)
    }, MEETING_MS).unref()
  }

  #resume(link: SealerLink, request: Ask<'resume'>): void {
    const heap = this.#heaps.get(heapKey(request))
    const ends = heap === undefined ? undefined : this.#ends.get(heap)
    if (heap === undefined || ends === undefined) throw new RpcError('NOT_FOUND', 'no seals of this heap were kept')
    if (ends[request.end] !== undefined || !isOf(heap, request.end, link)) throw new RpcError('PERMISSION_DENIED', 'this end belongs to another process')
    ends[request.end] = link
    link[request.end === 'sender' ? 'sends' : 'receives'].add(heap)
    const holders = request.end === 'receiver' ? this.#holders(heap) : []
    const bells = request.end === 'sender' ? [heap.bell] : []
    link.send({ type: 'resumed', id: request.id, bells: bells.length, holders: holders.length }, [...bells, ...holders])
    if (request.end === 'sender') this.#loop.wake(heap)
  }

  #detach(link: SealerLink, { id, end, ...named }: Ask<'detach'>): void {
    const heap = this.#heaps.get(heapKey(named))
    const holder = heap === undefined ? undefined : this.#ends.get(heap)?.[end]
    // One that left while there was no sealer does not come back first.
    if (heap !== undefined && (holder === undefined ? isOf(heap, end, link) : holder === link)) this.#endLeft(heap, end)
    link.send({ type: 'done', id })
  }

  #leave(link: SealerLink): void {
    this.#links.delete(link)
    this.#places.giveBack(link)
    this.#meetings.leave(link)
    this.#prepared.leave(link)
    for (const heap of link.sends) this.#endLeft(heap, 'sender')
    for (const heap of link.receives) this.#endLeft(heap, 'receiver')
    this.#awaitIdleness()
  }

  /**
   * Without its receiver a seal protects nobody: the sender gets its pages back. Without its sender it goes on: the receiver may be
   * in the middle of a call, and what is left of the sender, a child or a thread, must not write.
   */
  #endLeft(heap: SealedHeap, end: 'sender' | 'receiver'): void {
    const ends = this.#ends.get(heap)
    if (ends === undefined) return
    ends[end]?.[end === 'sender' ? 'sends' : 'receives'].delete(heap)
    ends[end] = undefined
    this.#loop.remove(heap)
    if (end === 'receiver') this.#end(heap)
  }

  #end(heap: SealedHeap): void {
    const ends = this.#ends.get(heap)
    this.#loop.remove(heap)
    this.#heaps.delete(heap.key)
    this.#ends.delete(heap)
    // May find it broken: before the keeper is told what to remember.
    heap.releaseAll()
    if (heap.isBroken && this.#prepared.remember(heap.kept)) void this.#keeper.keep(heap.key, { ...heap.kept, broken: 'ended' }, heap.files)
    else this.#keeper.forget(heap.key)
    heap.close()
    const { token, address } = heap.kept
    ends?.sender?.sends.delete(heap)
    ends?.sender?.send({ type: 'ended', token, address })
    ends?.receiver?.receives.delete(heap)
    const prepared = this.#prepared.ended(heap)
    if (prepared !== undefined) this.#meetings.freed(prepared)
    this.#awaitIdleness()
  }

  #awaitIdleness(): void {
    if (!this.#open || this.#links.size > 0 || this.#heaps.size > 0) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      this.#acceptor.acceptWaiting()
      if (this.#links.size === 0 && this.#heaps.size === 0) this.stop()
    }, this.#options.idleMs)
  }
}

/** Sets the heap up and verifies it. Takes over the sender's descriptor; the receiver's stays the caller's. */
function createHeap({ link, request, fd, prepared }: SenderAtMeeting, receiver: ReceiverAtMeeting): SealedHeap {
  if (request.byteLength !== receiver.request.byteLength) {
    if (fd >= 0) addon.closeFd(fd)
    throw new RpcError('FAILED_PRECONDITION', 'the two ends name ranges of different length')
  }
  const userfault = prepared?.lend() ?? fd
  try {
    return SealedHeap.create(request, { ...link.credentials, userfault, confined: prepared !== undefined }, receiver.link.credentials, receiver.fd)
  } catch (error) {
    prepared?.takeBack()
    throw error
  }
}

/** Whether an end of the heap is this link's process. */
function isOf({ kept }: SealedHeap, end: 'sender' | 'receiver', { credentials }: SealerLink): boolean {
  return credentials.pid === (end === 'sender' ? kept.senderPid : kept.receiverPid)
}

/**
 * The next descriptor that must have come along; it is the caller's now. What it is is looked at first: whatever else were asked of the file of a
 * file system in user space, an ioctl or its length, would wait for that one's answer.
 */
function take(fds: number[], isThat: (fd: number) => boolean, what: string): number {
  requireThat(fds[0], isThat, what)
  return fds.shift()!
}

function requireThat(fd: number | undefined, isThat: (fd: number) => boolean, what: string): void {
  if (fd === undefined || !isThat(fd)) throw new RpcError('INVALID_ARGUMENT', `a ${what} must come along`)
}
