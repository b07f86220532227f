import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from '../../base/assert.js'
import { RpcError } from '../../base/errors.js'
import { PAGE_BYTES, type Address } from '../../base/numbers.js'
import { connectOrStart } from '../../control/place/launch.js'
import { runtimeDirectory } from '../../control/place/runtime-directory.js'
import { DESCRIPTORS_BROKEN_WORD, DESCRIPTORS_DEFAULT, REQUESTS_AT_BELL, REQUESTS_DEFAULT, sealDescriptorsBytes, sealRequestsBytes } from '../../layout/seal-layout.js'
import { addon, type Mapping, preparedHeaps } from '../../sys/index.js'
import { warmPages, type SealAuthority } from './authority.js'
import { SealVerifier } from './descriptors.js'
import { LifeHolders } from './life.js'
import { heapKey, type SealerNotice } from './messages.js'
import { RequestedAuthority } from './sender/requested.js'
import { makeUserfault, mapAll } from './seal-files.js'
import { SealerSession, type Answer } from './sealer-session.js'
import { SEALER } from './sealer/sealer-service.js'
import type { Strength } from './strength.js'

/** How long attaching may take: the other end must attach too. */
const ATTACH_TIMEOUT_MS = 10_000
/** Pauses between attempts to reach a sealer again. */
const FIRST_RETURN_MS = 20
const LAST_RETURN_MS = 2000

/** The sealable pages of one heap of a connection, named the same by both ends. */
export interface SealableHeap {
  /** The connection's token. */
  readonly token: string
  readonly address: Address
  /** Whole pages. They are given memory at once. */
  readonly byteLength: number
}

export interface SenderOptions extends SealableHeap {
  /** Seals that may be in flight: a power of two. */
  readonly descriptors?: number
  /** Seals and releases that may wait for the sealer: a power of two. */
  readonly requests?: number
}

export interface ReceiverOptions extends SealableHeap {
  /** The heap's file, which stays the caller's. It accepts no new mapping afterwards. */
  readonly file: number
}

export interface Receiving extends Disposable {
  readonly verifier: SealVerifier
  readonly strength: Strength
  close(): void
}

/** A heap that a launcher prepared in a process. */
export interface LaunchedHeap {
  readonly pid: number
  readonly uid: number
  readonly address: Address
  readonly byteLength: number
}

interface Attached {
  readonly heap: SealableHeap
  readonly end: 'sender' | 'receiver'
  readonly mappings: readonly Mapping[]
  readonly authority: RequestedAuthority | undefined
  readonly holders: LifeHolders | undefined
  /** The sender's descriptor by which it wakes the sealer; another one after each restart of the sealer. */
  bell: number
  /** The sealer's that knows of it. */
  session: SealerSession
}

/**
 * An isolate's link to the sealer, made on first need. When the sealer dies its successor is looked for, and takes over what the
 * keeper holds: seals stay in force, and sealing goes on.
 */
export class SealClient implements Disposable {
  readonly #connect: (remainingMs: () => number) => Promise<number>
  readonly #attached = new Map<string, Attached>()
  /** What a sealer must be told again; the descriptors are this client's. */
  readonly #launched: { readonly launched: LaunchedHeap, readonly userfault: number, readonly file: number, stage: 'runs' | 'broken' }[] = []
  /** Ends that were detached, and no sealer has said yet that it knows. */
  readonly #left = new Set<Pick<Attached, 'heap' | 'end'>>()
  #session: Promise<SealerSession> | undefined
  #live: SealerSession | undefined
  #closed = false

  /** The sealer of a runtime directory, which is started when there is none. */
  static ofDirectory(directory = runtimeDirectory()): SealClient {
    return new SealClient((remainingMs) => connectOrStart(directory, remainingMs, SEALER))
  }

  /** `connect` gives a descriptor connected to the sealer, or throws an RpcError. */
  constructor(connect: (remainingMs: () => number) => Promise<number>) {
    this.#connect = connect
  }

  /**
   * Makes pages of this process sealable. Resolves when the receiver has attached too. The mapping must exist, and stay until the authority
   * is closed.
   * @throws RpcError FAILED_PRECONDITION where the kernel or its settings do not permit userfaultfd, or the seals could not be relied on;
   * DEADLINE_EXCEEDED when the other end does not attach.
   */
  async attachSender({ token, address, byteLength, descriptors = DESCRIPTORS_DEFAULT, requests = REQUESTS_DEFAULT }: SenderOptions): Promise<SealAuthority> {
    const session = await this.#reach()
    const userfault = await this.#userfault(session, address, byteLength)
    const options = { token, address, byteLength, descriptors, requests }
    const asked = session.askFor({ type: 'attachSender', ...options }, ATTACH_TIMEOUT_MS, (answer) => this.#sending(session, options, answer), userfault)
    for (const fd of userfault) addon.closeFd(fd)
    return asked
  }

  #sending(session: SealerSession, { token, address, byteLength, descriptors, requests }: Required<SenderOptions>, { notice, fds }: Answer): SealAuthority {
    assert(notice.type === 'sending', 'a sender is answered by sending')
    const strength: Strength = { kind: 'enforced', except: notice.except }
    const [ring, list, bell] = fds
    let mappings: Mapping[]
    try {
      mappings = mapAll([ring!, list!], [[sealRequestsBytes(requests), true], [sealDescriptorsBytes(descriptors), false]])
    } catch (error) {
      addon.closeFd(bell!)
      throw error
    }
    const words = new Int32Array(mappings[1]!.buffer)
    const authority = new RequestedAuthority({
      requests: mappings[0]!.buffer, requestCount: requests, descriptorCount: descriptors, base: address, byteLength, strength,
      isBroken: () => words[DESCRIPTORS_BROKEN_WORD] !== 0,
      closed: () => this.#detach({ token, address }, 'sender'),
    }, {
      ring: (waiting) => {
        if (waiting === REQUESTS_AT_BELL) addon.ringBell(attached.bell)
        else this.#live?.ring()
      },
      sleep: (timeoutMs) => this.#live?.sleep(timeoutMs) ?? false,
    })
    const attached: Attached = { heap: { token, address, byteLength }, end: 'sender', mappings, authority, holders: undefined, bell: bell!, session }
    this.#attached.set(attachedKey({ token, address }, 'sender'), attached)
    return authority
  }

  /** Receives calls whose arguments are sealed. Resolves when the sender has attached too. Throws as {@link attachSender}. */
  async attachReceiver({ token, address, byteLength, file }: ReceiverOptions): Promise<Receiving> {
    const session = await this.#reach()
    const heap: SealableHeap = { token, address, byteLength }
    return session.askFor({ type: 'attachReceiver', ...heap }, ATTACH_TIMEOUT_MS, (answer) => this.#receiving(session, heap, answer), [file])
  }

  #receiving(session: SealerSession, heap: SealableHeap, { notice, fds }: Answer): Receiving {
    assert(notice.type === 'receiving', 'a receiver is answered by receiving')
    const [ring, ...lives] = fds
    let mappings: Mapping[]
    try {
      mappings = mapAll([ring!], [[sealDescriptorsBytes(notice.descriptors), true]])
    } catch (error) {
      for (const life of lives) addon.closeFd(life)
      throw error
    }
    const holders = new LifeHolders()
    for (const life of lives) holders.add(life)
    const verifier = new SealVerifier(mappings[0]!.buffer, notice.descriptors, heap.byteLength / PAGE_BYTES, holders)
    const attached: Attached = { heap, end: 'receiver', mappings, authority: undefined, holders, bell: -1, session }
    this.#attached.set(attachedKey(heap, 'receiver'), attached)
    const close = (): void => this.#detach(heap, 'receiver')
    return { verifier, strength: { kind: 'enforced', except: notice.except }, close, [Symbol.dispose]: close }
  }

  /** This process's userfaultfd, the caller's to close; none for a heap that a launcher prepared, whose sealer has it already. */
  async #userfault(session: SealerSession, address: Address, byteLength: number): Promise<readonly number[]> {
    if (preparedHeaps().some((one) => one.address === address && one.byteLength === byteLength)) return []
    const { notice, fds } = await session.ask({ type: 'device' }, ATTACH_TIMEOUT_MS)
    assert(notice.type === 'device', 'a device is answered by a device')
    const userfault = makeUserfault(fds[0] ?? -1)
    try {
      warmPages(address, byteLength)
      return [userfault]
    } catch (cause) {
      addon.closeFd(userfault)
      throw new RpcError('FAILED_PRECONDITION', `the sealable pages cannot be given memory: ${String(cause)}`, { cause })
    }
  }

  /**
   * Of a launcher: says that a process was confined and stands still, and brings its userfaultfd for one heap and the heap's file, which stay
   * the caller's. Holds until this client is closed: a sealer that comes after this one is told again.
   * @throws RpcError FAILED_PRECONDITION when the sealer finds that its seals could not be relied on.
   */
  async attest(launched: LaunchedHeap, userfault: number, file: number): Promise<void> {
    await (await this.#reach()).ask({ type: 'attest', stage: 'stopped', ...launched }, ATTACH_TIMEOUT_MS, [userfault, file])
    this.#launched.push({ launched, userfault: addon.duplicateFd(userfault), file: addon.duplicateFd(file), stage: 'runs' })
  }

  /** Reaches the sealer, and starts one when there is none. */
  async connected(): Promise<void> {
    await this.#reach()
  }

  /** Ends everything that was attached through this client. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const attached of this.#attached.values()) this.#release(attached)
    this.#attached.clear()
    this.#left.clear()
    for (const { userfault, file } of this.#launched.splice(0)) for (const fd of [userfault, file]) addon.closeFd(fd)
    this.#live?.close()
    this.#live = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #reach(): Promise<SealerSession> {
    this.#checkOpen()
    this.#session ??= this.#establish()
    try {
      return await this.#session
    } catch (error) {
      this.#session = undefined
      throw error
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new RpcError('CANCELLED', 'the link to the sealer was closed')
  }

  async #establish(): Promise<SealerSession> {
    const end = performance.now() + ATTACH_TIMEOUT_MS
    for (;;) {
      const fd = await this.#connect(() => (this.#closed ? 0 : end - performance.now()))
      if (this.#closed) addon.closeFd(fd)
      this.#checkOpen()
      try {
        return await this.#greet(fd)
      } catch (error) {
        // It was just dying: its socket outlives it by a moment.
        if (this.#closed || !RpcError.is(error) || error.code !== 'UNAVAILABLE' || performance.now() >= end) throw error
        await sleep(FIRST_RETURN_MS)
      }
    }
  }

  async #greet(fd: number): Promise<SealerSession> {
    const session = await SealerSession.start(fd, {
      news: (notice, fds) => this.#news(notice, fds),
      ended: () => this.#lost(),
    }, ATTACH_TIMEOUT_MS)
    if (this.#closed) session.close()
    this.#checkOpen()
    this.#live = session
    return session
  }

  #news(notice: SealerNotice, fds: readonly number[]): void {
    if (notice.type === 'holder') {
      for (const { holders, session } of this.#attached.values()) {
        // Of what this sealer did not take over it said nothing: nobody may hold that any more. Each heap's holders own their descriptor.
        if (session === this.#live) holders?.add(addon.duplicateFd(fds[0]!))
      }
      for (const fd of fds) addon.closeFd(fd)
    } else if (notice.type === 'broken') {
      for (const one of this.#launched) if (one.launched.pid === notice.pid && one.launched.address === notice.address) one.stage = 'broken'
    } else if (notice.type === 'ended') {
      this.#attached.get(attachedKey(notice, 'sender'))?.authority?.fail()
    }
  }

  /** The sealer died. Seals are still in force, the keeper sees to that; another sealer is looked for. */
  #lost(): void {
    this.#live = undefined
    this.#session = undefined
    if (this.#holds) void this.#return(FIRST_RETURN_MS)
  }

  async #return(pauseMs: number): Promise<void> {
    if (this.#closed || !this.#holds) return
    try {
      const session = await this.#reach()
      for (const { launched, userfault, file, stage } of this.#launched) {
        await session.ask({ type: 'attest', stage, ...launched }, ATTACH_TIMEOUT_MS, [userfault, file]).catch((error: unknown) => this.#refused(session, error))
      }
      // What was attached meanwhile this sealer knows already.
      for (const attached of this.#attached.values()) if (attached.session !== session) await this.#resume(session, attached)
      for (const left of this.#left) this.#tellLeft(session, left)
    } catch (error) {
      if (!RpcError.is(error)) throw error
      setTimeout(() => void this.#return(Math.min(pauseMs * 2, LAST_RETURN_MS)), pauseMs)
    }
  }

  get #holds(): boolean {
    return this.#attached.size + this.#launched.length + this.#left.size > 0
  }

  /** A sealer that lives and refuses is not asked again; for one that died there will be another. */
  #refused(session: SealerSession, error: unknown): void {
    if (!RpcError.is(error) || !session.isOpen) throw error
  }

  async #resume(session: SealerSession, attached: Attached): Promise<void> {
    const { heap: { token, address }, end, authority } = attached
    try {
      await session.askFor({ type: 'resume', token, address, end }, ATTACH_TIMEOUT_MS, (answer) => this.#resumed(session, attached, answer))
    } catch (error) {
      if (!RpcError.is(error) || !session.isOpen) throw error
      // Nobody kept them: they were lifted.
      authority?.fail()
    }
  }

  #resumed(session: SealerSession, attached: Attached, { fds }: Answer): void {
    const { heap, end, holders } = attached
    attached.session = session
    // Detached while the sealer answered: nobody else will close what came.
    if (this.#attached.get(attachedKey(heap, end)) !== attached) for (const fd of fds) addon.closeFd(fd)
    else if (end === 'sender') replaceBell(attached, fds[0]!)
    else for (const life of fds) holders?.add(life)
  }

  #detach(heap: Pick<SealableHeap, 'token' | 'address'>, end: 'sender' | 'receiver'): void {
    const key = attachedKey(heap, end)
    const attached = this.#attached.get(key)
    if (attached === undefined) return
    this.#attached.delete(key)
    this.#left.add(attached)
    if (this.#live !== undefined) this.#tellLeft(this.#live, attached)
    this.#release(attached)
  }

  /** A sealer that dies meanwhile has a successor, which would wait for this end to come back. */
  #tellLeft(session: SealerSession, left: Pick<Attached, 'heap' | 'end'>): void {
    const { heap: { token, address }, end } = left
    session.ask({ type: 'detach', token, address, end }, ATTACH_TIMEOUT_MS, [], false).then(() => this.#left.delete(left), () => {
      if (session.isOpen) this.#left.delete(left)
    })
  }

  #release(attached: Attached): void {
    attached.authority?.abandon()
    attached.holders?.close()
    for (const mapping of attached.mappings) mapping.unmap()
    replaceBell(attached, -1)
  }
}

function replaceBell(attached: Attached, bell: number): void {
  if (attached.bell >= 0) addon.closeFd(attached.bell)
  attached.bell = bell
}

function attachedKey(heap: Pick<SealableHeap, 'token' | 'address'>, end: 'sender' | 'receiver'): string {
  return `${end}/${heapKey(heap)}`
}
