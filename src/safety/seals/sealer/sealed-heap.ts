import { closeSync, fchmodSync, openSync } from 'node:fs'
import { RpcError } from '../../../base/errors.js'
import { PAGE_BYTES } from '../../../base/numbers.js'
import { sealDescriptorsBytes, sealRequestsBytes } from '../../../layout/seal-layout.js'
import { addon, checkSealableFile, createMemoryFile, errnoCode, isPublished, Mapping, publishMemoryFile } from '../../../sys/index.js'
import { DescriptorWriter, markBroken } from '../descriptors.js'
import { SealEngine } from './engine.js'
import { checkConfinement, checkMapping, probeProtection } from './mapping-check.js'
import { PageRuns } from '../page-runs.js'
import { heapKey, type KeptHeap, type SenderAttachment } from '../messages.js'
import { SealTable } from './seal-table.js'
import { SenderRequests } from './sender-requests.js'
import { strengthOf, type Hole } from '../strength.js'
import { isPrivileged, UserfaultGuard, type GuardEvents } from './userfault.js'

/** A process as the kernel names it. */
export interface Identity {
  readonly pid: number
  readonly uid: number
}

/** Whose pages are to be sealed. */
export interface Sender extends Identity {
  readonly userfault: number
  /** A trusted launcher set its memory up, and had the userfaultfd set up for it, before its program began. */
  readonly confined: boolean
}

/** The descriptors of a sealed heap, as they are kept across a sealer's death. */
export interface HeapFiles {
  readonly userfault: number
  readonly requests: number
  readonly descriptors: number
}

/** One heap whose pages this process seals for its sender. Owns its descriptors and mappings until {@link close}. */
export class SealedHeap {
  readonly key: string
  readonly requests: SenderRequests
  /** The sender rings it when this process waits for bells. */
  readonly bell: number
  /** Called when that is found, once somebody set it. */
  broke: (() => void) | undefined
  readonly #engine: SealEngine
  readonly #guard: UserfaultGuard
  readonly #mappings: readonly Mapping[]
  readonly #writer: DescriptorWriter
  #open = true

  /**
   * Sets a new heap up and verifies it. Takes over the userfaultfd, also when it throws; the heap's file stays the caller's.
   * Throws FAILED_PRECONDITION when the seals could not be relied on.
   */
  static create(sender: SenderAttachment, who: Sender, receiver: Identity, heapFile: number): SealedHeap {
    const { userfault, confined } = who
    const privileged = isPrivileged()
    const files = { userfault, requests: -1, descriptors: -1 }
    const { token, address, byteLength, descriptors, requests } = sender
    let fileClosed: boolean
    try {
      checkSealableFile(heapFile, byteLength)
      fileClosed = closeFile(heapFile)
    } catch (error) {
      closeFiles(files)
      throw error
    }
    const draft: KeptHeap = {
      type: 'heap', token, address, byteLength, descriptors, requests, except: [], events: privileged ? 'yes' : 'no', confined: confined ? 'yes' : 'no', broken: 'no',
      senderPid: who.pid, receiverPid: receiver.pid,
    }
    const heap = new SealedHeap(draft, files, (events) => confined
      ? UserfaultGuard.resume(userfault, address, byteLength, { events: privileged }, events)
      : UserfaultGuard.setUp(userfault, address, byteLength, privileged, events))
    try {
      checkMapping(who.pid, address, byteLength, heapFile)
      if (confined) checkConfinement(who.pid)
      probeProtection(heap.#guard, who.pid, address)
      heap.#except(strengthOf({
        confined, fileClosed, events: privileged, sameUser: who.uid === process.geteuid?.() || who.uid === receiver.uid,
      }).except)
      return heap
    } catch (error) {
      heap.close()
      throw error
    }
  }

  /**
   * Takes over what a sealer before left, and the descriptors, also when it throws. Undefined when it makes no sense, or nothing is left to
   * take it over with: its seals count no more, which its receiver can see, and may be lifted. Throws the kernel's error when not even that can be said.
   */
  static resume(kept: KeptHeap, files: HeapFiles): SealedHeap | undefined {
    let ring: Mapping
    try {
      ring = Mapping.mapLocal(files.descriptors, sealDescriptorsBytes(kept.descriptors))
    } catch (error) {
      closeFiles(files)
      throw error
    }
    try {
      const heap = new SealedHeap(kept, files, (events) =>
        UserfaultGuard.resume(files.userfault, kept.address, kept.byteLength, { events: kept.events === 'yes' }, events))
      heap.#restore()
      return heap
    } catch (error) {
      if (!RpcError.is(error) && errnoCode(error) === undefined) throw error
      markBroken(ring.buffer)
      return undefined
    } finally {
      ring.unmap()
    }
  }

  private constructor(public kept: KeptHeap, readonly files: { userfault: number, requests: number, descriptors: number }, guard: (events: GuardEvents) => UserfaultGuard) {
    this.key = heapKey(kept)
    const pages = kept.byteLength / PAGE_BYTES
    const table = new SealTable(pages, kept.descriptors)
    const mappings: Mapping[] = []
    let protecting: UserfaultGuard | undefined
    try {
      if (files.requests < 0) files.requests = makeFile('seal-requests', sealRequestsBytes(kept.requests))
      if (files.descriptors < 0) files.descriptors = makeFile('seal-descriptors', sealDescriptorsBytes(kept.descriptors))
      const requests = Mapping.mapLocal(files.requests, sealRequestsBytes(kept.requests))
      mappings.push(requests)
      const descriptors = Mapping.mapLocal(files.descriptors, sealDescriptorsBytes(kept.descriptors))
      mappings.push(descriptors)
      const writer = new DescriptorWriter(descriptors.buffer, kept.descriptors, pages)
      this.requests = new SenderRequests(requests.buffer, kept.requests)
      protecting = guard({
        isSealed: (page) => table.isSealed(page),
        broken: () => {
          this.kept = { ...this.kept, broken: 'yes' }
          writer.markBroken()
          this.broke?.()
        },
      })
      // The receiver can write there, and is told again.
      if (this.isBroken) writer.markBroken()
      this.#guard = protecting
      this.#writer = writer
      this.#mappings = mappings
      this.#engine = new SealEngine(table, writer, (page, count, protect) => this.#guard.protect(page, count, protect))
      this.bell = addon.createBell()
    } catch (error) {
      protecting?.close()
      for (const mapping of mappings) mapping.unmap()
      closeFiles(protecting === undefined ? files : { ...files, userfault: -1 })
      throw error
    }
  }

  /** The sender was found at something that breaks seals, by this sealer or one before. */
  get isBroken(): boolean {
    return this.kept.broken !== 'no'
  }

  get table(): SealTable {
    return this.#engine.table
  }

  /** Carries out what the sender asked for: one batch. 0 = nothing was asked, 1 = done, 2 = done, and the sender sleeps. */
  poll(): 0 | 1 | 2 {
    if (!this.requests.take()) return 0
    this.#engine.carryOut(this.requests.batch)
    return this.requests.answer() ? 2 : 1
  }

  /** A descriptor of the ring that can only read; the caller's to close. */
  openReadOnly(): number {
    return openSync(`/proc/self/fd/${this.files.descriptors}`, 'r')
  }

  /** The receiver is gone: the sender gets its pages back, completed or not. */
  releaseAll(): void {
    this.#engine.releaseAll()
  }

  /** Ends it. Unless a keeper holds the userfaultfd too, all seals are lifted. Idempotent. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#guard.close()
    for (const mapping of this.#mappings) mapping.unmap()
    // The guard has closed its own.
    closeFiles({ ...this.files, userfault: -1 })
    addon.closeFd(this.bell)
  }

  #except(except: readonly Hole[]): void {
    this.kept = { ...this.kept, except }
  }

  #restore(): void {
    const { table } = this
    const [sealed, free] = [new PageRuns(), new PageRuns()]
    for (let i = 0; i < table.descriptorCount; i++) {
      const { word, page, pages } = this.#writer.read(i)
      // What makes no sense its receiver wrote, who alone could: its own seals count no more, and its sender did nothing.
      if (!table.restore(i, word, page, pages)) this.#writer.markBroken()
      else if ((word & 1) !== 0) sealed.add(page, pages)
    }
    for (let page = 0; page < table.pageCount; page++) if (!table.isSealed(page)) free.add(page, 1)
    sealed.merge()
    // What the sealer before was in the middle of: every page as its descriptor says.
    for (let i = 0; i < sealed.count; i++) this.#guard.protect(sealed.page(i), sealed.pages(i), true)
    for (let i = 0; i < free.count; i++) this.#guard.protect(free.page(i), free.pages(i), false)
  }
}

export function closeFiles({ userfault, requests, descriptors }: HeapFiles): void {
  for (const fd of [userfault, requests, descriptors]) if (fd >= 0) addon.closeFd(fd)
}

/** Ends writing to the heap's file but through the mappings that exist. False when it was made final before. */
export function closeFile(fd: number): boolean {
  try {
    if (!isPublished(fd)) publishMemoryFile(fd)
    return true
  } catch (error) {
    if (errnoCode(error) === 'EPERM') return false
    throw error
  }
}

/** For this user alone, so that a descriptor opened for reading stays one; closed by its owner. */
function makeFile(name: string, byteLength: number): number {
  const fd = createMemoryFile(name, byteLength)
  try {
    fchmodSync(fd, 0o600)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
