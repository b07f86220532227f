import { RpcError } from '../../../base/errors.js'
import { encodeMessage } from '../../../control/protocol/messages.js'
import { connectOrStart } from '../../../control/place/launch.js'
import { PacketSocket } from '../../../control/protocol/packet-socket.js'
import { addon, duplicateAll, type Packet } from '../../../sys/index.js'
import { KEEPER } from '../keeper/keeper-service.js'
import { decodeKeeperMessage, decodeKept, heapKey, type KeeperMessage, type KeptHeap } from '../messages.js'
import { closeFiles, type HeapFiles, type SealedHeap } from './sealed-heap.js'

const START_TIMEOUT_MS = 10_000

export interface KeptEntry {
  readonly heap: KeptHeap
  readonly files: HeapFiles
}

/** The sealer's link to the keeper, which it starts when there is none. */
export class KeeperLink {
  /** The keeper's life file, open for reading; this link's to close. */
  #life = -1
  /** What the keeper holds, as far as it was sent. */
  readonly #held = new Set<string>()
  /** What it is to forget when it has read what waits for it: a sealer may end more heaps at once than a queue takes. */
  readonly #forgotten = new Set<string>()
  #forgetting = false
  readonly #socket: PacketSocket

  /**
   * Reaches the keeper and takes over what it keeps for a sealer before this one. The descriptors are the caller's.
   * `lost` is called when the keeper dies. Throws UNAVAILABLE when none can be started in time.
   */
  static async open(directory: string, lost: () => void): Promise<{ link: KeeperLink, kept: readonly KeptEntry[] }> {
    const end = performance.now() + START_TIMEOUT_MS
    for (;;) {
      const fd = await connectOrStart(directory, () => end - performance.now(), KEEPER)
      const opened = await KeeperLink.#list(fd, lost)
      if (opened !== undefined) return opened
      // It was just dying: its socket outlives its last word by a moment.
      if (performance.now() >= end) throw new RpcError('UNAVAILABLE', 'the keeper of seals ends before it answers')
    }
  }

  /** Undefined when the keeper ended before it answered. */
  static #list(fd: number, lost: () => void): Promise<{ link: KeeperLink, kept: readonly KeptEntry[] } | undefined> {
    const kept: KeptEntry[] = []
    return new Promise((resolve) => {
      let listed = false
      const link = new KeeperLink(fd, (packet) => {
        const entry = readEntry(packet)
        if (entry === 'unfit') return undefined
        if (entry !== undefined) {
          link.#held.add(heapKey(entry.heap))
          return kept.push(entry)
        }
        listed = true
        link.#life = packet.fds[0] ?? -1
        return resolve({ link, kept })
      }, () => {
        // Of one whose message could not be received, too.
        link.#socket.close()
        if (listed) return lost()
        for (const { files } of kept) closeFiles(files)
        return resolve(undefined)
      })
      link.#send({ type: 'list' })
    })
  }

  private constructor(fd: number, packet: (packet: Packet) => void, closed: () => void) {
    this.#socket = new PacketSocket(fd, { packet, truncated: closed, closed })
  }

  /** The keeper's life file, which stays this link's. */
  get life(): number {
    return this.#life
  }

  /** False when the keeper has died: `lost` was called then. */
  get isOpen(): boolean {
    return this.#socket.isOpen
  }

  /** Whether it would still be held if this process died now. */
  holds(key: string): boolean {
    return this.#socket.isOpen && this.#held.has(key)
  }

  /**
   * Replaces what was kept under the key. The files stay the caller's, who may close them at once. Resolves when the keeper holds them, or is gone:
   * what this process has not sent yet would go with it.
   */
  keep(key: string, heap: KeptHeap, files: HeapFiles): Promise<void> {
    this.#forgotten.delete(key)
    const given = [files.userfault, files.requests, files.descriptors]
    const copies = duplicateAll(given)
    return new Promise((resolve) => {
      // When no copies could be made these do, unless the keeper is slow and they are closed before they have left.
      this.#send({ type: 'keep', key, meta: JSON.stringify(heap) }, copies ?? given, () => {
        for (const fd of copies ?? []) addon.closeFd(fd)
        if (this.#socket.isOpen) this.#held.add(key)
        resolve()
      })
    })
  }

  /**
   * Has all of them kept, one after the other as the keeper reads: they may be more than its queue takes. What ended meanwhile is left out.
   * Resolves with false when the keeper died meanwhile.
   */
  async keepAll<T extends Pick<SealedHeap, 'key' | 'kept' | 'files'>>(heaps: Iterable<T>, lives: (heap: T) => boolean): Promise<boolean> {
    for (const heap of heaps) if (lives(heap) && this.isOpen) await this.keep(heap.key, heap.kept, heap.files)
    return this.isOpen
  }

  forget(key: string): void {
    this.#held.delete(key)
    if (this.#socket.waiting === 0 && this.#forgotten.size === 0) return this.#send({ type: 'forget', key })
    this.#forgotten.add(key)
    if (!this.#forgetting) void this.#forgetOneByOne()
    return undefined
  }

  async #forgetOneByOne(): Promise<void> {
    this.#forgetting = true
    for (const key of this.#forgotten) {
      // Now, and not when it has left: by then it may have been kept again, and ended again.
      this.#forgotten.delete(key)
      await new Promise<void>((resolve) => this.#send({ type: 'forget', key }, [], () => {
        // What was to be kept has left before it, and may leave again behind it.
        this.#held.delete(key)
        resolve()
      }))
    }
    this.#forgetting = false
  }

  close(): void {
    this.#socket.close()
    if (this.#life >= 0) addon.closeFd(this.#life)
    this.#life = -1
  }

  #send(message: KeeperMessage, fds: readonly number[] = [], settled?: () => void): void {
    this.#socket.send(encodeMessage(message), fds, settled)
  }
}

/** One kept heap; undefined for the end of the list. What cannot be read is closed: a sealer that ended by it would end at each start. */
function readEntry({ bytes, fds }: Packet): KeptEntry | 'unfit' | undefined {
  try {
    const message = decodeKeeperMessage(bytes)
    if (message.type !== 'kept') return undefined
    const [userfault, requests, descriptors, ...others] = fds
    if (userfault === undefined || requests === undefined || descriptors === undefined || others.length > 0) {
      throw new RpcError('INVALID_ARGUMENT', `${fds.length} descriptors came with a kept heap`)
    }
    return { heap: decodeKept(Buffer.from(message.meta, 'utf8')), files: { userfault, requests, descriptors } }
  } catch (error) {
    if (!RpcError.is(error)) throw error
    for (const fd of fds) addon.closeFd(fd)
    return 'unfit'
  }
}
