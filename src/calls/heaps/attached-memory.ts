import { attachHeader } from '../../layout/header.js'
import { CONTROL_FINGERPRINT, CONTROL_KIND, controlBytes } from '../../layout/control-layout.js'
import { RpcError } from '../../base/errors.js'
import type { Attachment, DaemonClient, HeapKind, MemoryGrant } from '../../control/index.js'
import { Heap, HeapSet, type Inheritance, PageHeap, pagesOf, Region } from '../../memory/index.js'
import { addon, checkMemoryFile, checkSealableFile, errnoCode, hugePageBytes, Mapping, preparedHeaps, publishMemoryFile } from '../../sys/index.js'

/** Maps a grant and closes its descriptor. The mapping is the caller's to unmap. */
function mapGrant(grant: MemoryGrant, writable = true): Mapping {
  try {
    checkMemoryFile(grant.fd, grant.byteLength)
    return Mapping.map(grant.fd, grant.address, grant.byteLength, writable)
  } finally {
    grant.close()
  }
}

/** Maps a heap to write to, and sees to it that nobody else ever can. Closes the descriptor, which no client has had yet. */
function mapAndPublish(grant: MemoryGrant): Mapping {
  try {
    const mapping = Mapping.map(grant.fd, grant.address, grant.byteLength)
    try {
      publishMemoryFile(grant.fd)
      checkMemoryFile(grant.fd, grant.byteLength)
      return mapping
    } catch (error) {
      mapping.unmap()
      throw error
    }
  } finally {
    grant.close()
  }
}

/** Maps pages for sealed arguments. The descriptor comes back open: it is the caller's to close, when the seals are attached. */
function mapSealable(grant: MemoryGrant, writable: boolean): SealablePages {
  const { address, byteLength } = grant
  // What a launcher mapped is there already, in the client, and in a server of the same process.
  if (!grant.hasFile) return { mapping: Mapping.prepared(grant), file: -1 }
  try {
    checkSealableFile(grant.fd, grant.byteLength)
    const file = addon.duplicateFd(grant.fd)
    try {
      const isPrepared = preparedHeaps().some((one) => one.address === address && one.byteLength === byteLength)
      return { mapping: isPrepared ? Mapping.prepared(grant) : Mapping.map(grant.fd, address, byteLength, writable), file }
    } catch (error) {
      addon.closeFd(file)
      throw error
    }
  } finally {
    grant.close()
  }
}

/** Pages of a connection for arguments that are sealed, as one end has them. */
export interface SealablePages {
  readonly mapping: Mapping
  /** The caller's to close, when the seals are attached; -1 for a client's memory that a launcher mapped. */
  readonly file: number
}

/** What is to be done where a heap is full, by who asked for it. */
const REMEDIES: Readonly<Partial<Record<HeapKind, string>> & { private: string }> = {
  private: 'free what is no longer needed, have the client add memory (connection.grow(bytes)), or ask for more when connecting (connect\'s option heapBytes)',
  shared: 'free what is no longer needed, or start the server with more memory for all its connections (serve\'s option sharedHeapBytes)',
  published: 'free what is no longer needed, or start the server with more (serve\'s option publishedHeapBytes)',
}

/** The least number of pointers that a handler may follow, whatever the size of the heap. */
const WALK_MIN = 1 << 20

/** A walk that follows more pointers than the heap has room for goes in circles. */
function boundWalks(region: Region): void {
  region.endless = false
  region.allowance = Math.max(region.words, WALK_MIN)
  region.refill()
}

/** The mapped heaps of a connection, or of a channel that shares one: memory, allocators and leases together. */
export class AttachedHeaps {
  readonly set: HeapSet
  readonly #daemon: DaemonClient
  readonly #parts: { readonly mapping: Mapping; readonly heap: Heap | undefined; readonly attachment: Attachment }[] = []
  readonly #foreign: boolean
  readonly #inherits: Inheritance
  #open = true

  /**
   * Takes over the grant.
   * @param foreign what a peer writes there is walked by handlers: their loops over it must end.
   * @param inherits of a heap that a channel shares: what members leave there is its server's, which knows when their calls are over.
   */
  constructor(daemon: DaemonClient, first: MemoryGrant, hugePages: boolean, foreign = false, inherits: Inheritance = 'never') {
    this.#daemon = daemon
    this.#foreign = foreign
    this.#inherits = inherits
    this.set = new HeapSet((space) => this.#attach(first, hugePages, (mapping) =>
      new Heap(mapping.buffer, mapping.address, first.member, space)))
    this.set.remedy = REMEDIES[first.kind] ?? REMEDIES.private
  }

  /** The regions of all heaps. */
  get regions(): Region[] {
    return this.set.heaps.map(({ region }) => region)
  }

  /** Takes over the grant of a further heap; gives it back when it throws. One that its server publishes is only read here. */
  add(grant: MemoryGrant, hugePages = false): void {
    try {
      if (!this.#open) throw new RpcError('CANCELLED', 'the connection was closed before its further heap came')
      if (grant.kind === 'published') this.#read(grant)
      else this.set.add(this.#attach(grant, hugePages, (mapping) => new Heap(mapping.buffer, mapping.address, grant.member, this.set)))
    } catch (error) {
      grant.close()
      this.#daemon.releaseHeap({ heap: grant.heap, member: grant.member })
      throw error
    }
  }

  /**
   * Maps pages for sealed arguments, whose allocator, if any, is the client's own. Takes over the grant; gives it back when it throws.
   * @param writable for the client, and for whoever shares its process.
   */
  addSealable(grant: MemoryGrant, writable: boolean): SealablePages {
    try {
      if (!this.#open) throw new RpcError('CANCELLED', 'the connection was closed before its memory for sealed arguments came')
      const pages = mapSealable(grant, writable)
      this.#parts.push({ mapping: pages.mapping, heap: undefined, attachment: { heap: grant.heap, member: grant.member } })
      return pages
    } catch (error) {
      grant.close()
      this.#daemon.releaseHeap({ heap: grant.heap, member: grant.member })
      throw error
    }
  }

  /** What the client's allocator for sealed arguments takes; pointers lead there from now on. */
  lendPages({ mapping }: SealablePages, firstPage: number): PageHeap {
    const heap = new PageHeap(mapping.buffer, mapping.address, this.set, firstPage)
    this.set.lend(heap.region)
    return heap
  }

  /** The pages as a server reads them. */
  readPages({ mapping }: SealablePages, firstPage: number): Region {
    const region = pagesOf(mapping.buffer, mapping.address, this.set, firstPage)
    region.readOnly = true
    boundWalks(region)
    this.set.lend(region)
    return region
  }

  /** Lets pointers lead into memory of another owner in this process, which stays theirs to write: see {@link HeapSet.lend}. */
  lend(region: Region): void {
    const found = this.set.lend(region)
    if (this.#foreign) boundWalks(found)
  }

  /** Adds a heap that the peer asked for. What is wrong with it costs the peer that heap, and nobody else anything. */
  addFromPeer(grant: MemoryGrant): void {
    try {
      this.add(grant)
    } catch (error) {
      // Also what the kernel refuses: the heaps of many peers may use up this process's mappings.
      if (!RpcError.is(error) && errnoCode(error) === undefined) throw error
    }
  }

  memberGone(attachment: Attachment, gone: number): void {
    for (const part of this.#parts) if (part.attachment.heap === attachment.heap) part.heap?.memberDied(gone)
  }

  /** The connection of a peer that has this attachment is over, and nobody reads its arguments: see {@link Heap.callsEnded}. */
  callsEnded(attachment: Attachment, crashed: boolean): void {
    for (const part of this.#parts) if (part.attachment.heap === attachment.heap) part.heap?.callsEnded(attachment.member, crashed)
  }

  livingMembers(attachment: Attachment, living: readonly number[]): void {
    for (const part of this.#parts) {
      if (part.attachment.heap === attachment.heap) part.heap?.onlyLiving(new Set(living))
    }
  }

  /** Bytes that are backed by huge pages at this moment. */
  hugePageBytes(): number {
    return this.#parts.reduce((sum, { mapping }) => sum + hugePageBytes(mapping.address), 0)
  }

  /** Unmaps everything and gives the attachments back. Views read zeros and errors from then on. Idempotent. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    // In a heap that others go on using nobody else would free it.
    this.set.settle()
    for (const { mapping, attachment } of this.#parts) {
      mapping.unmap()
      this.#daemon.releaseHeap(attachment)
    }
  }

  /** Only a region, no allocator: nothing here may try to write. */
  #read(grant: MemoryGrant): void {
    const mapping = mapGrant(grant, false)
    const region = new Region(mapping.buffer, mapping.address, this.set)
    region.readOnly = true
    this.set.lend(region)
    this.#parts.push({ mapping, heap: undefined, attachment: { heap: grant.heap, member: grant.member } })
  }

  #attach(grant: MemoryGrant, hugePages: boolean, make: (mapping: Mapping) => Heap): Heap {
    const mapping = grant.kind === 'published' ? mapAndPublish(grant) : mapGrant(grant)
    try {
      if (hugePages) mapping.adviseHugePages()
      const heap = make(mapping)
      heap.onAttend = () => this.#daemon.attend()
      heap.onInquire = (about) => this.#daemon.inquire({ heap: grant.heap, member: grant.member }, about)
      if (grant.shared) heap.inherits = this.#inherits
      if (this.#foreign) boundWalks(heap.region)
      this.#parts.push({ mapping, heap, attachment: { heap: grant.heap, member: grant.member } })
      return heap
    } catch (error) {
      mapping.unmap()
      throw error
    }
  }
}

/** Maps a connection's control region and checks that the peer lays it out as we do. */
export function attachControl(grant: MemoryGrant, slots: number): Mapping {
  if (grant.byteLength < controlBytes(slots)) {
    grant.close()
    throw new RpcError('INVALID_ARGUMENT', `a control region of ${grant.byteLength} bytes has no room for ${slots} slots`)
  }
  const mapping = mapGrant(grant)
  try {
    attachHeader(new Int32Array(mapping.buffer), { kind: CONTROL_KIND, fingerprint: CONTROL_FINGERPRINT, geometry: slots }, 'connection')
    return mapping
  } catch (error) {
    mapping.unmap()
    throw error
  }
}
