import { encodeMessage } from '../../control/messages.js'
import { connectOrStart } from '../../control/launch.js'
import { PacketSocket } from '../../control/packet-socket.js'
import { addon, peerCredentials, peerPidfd, type Packet } from '../../sys/index.js'
import { KEEPER } from './keeper-service.js'
import { decodeKeeperMessage, decodeKept, type KeeperMessage, type KeptHeap } from './messages.js'
import type { HeapFiles } from './sealed-heap.js'

const START_TIMEOUT_MS = 10_000

export interface KeptEntry {
  readonly heap: KeptHeap
  readonly files: HeapFiles
}

/** The sealer's link to the keeper, which it starts when there is none. */
export class KeeperLink {
  /** A descriptor of the keeper's process; this link's to close. -1 where the kernel has none. */
  readonly pidfd: number
  readonly #socket: PacketSocket

  /**
   * Reaches the keeper and takes over what it keeps for a sealer before this one. The descriptors are the caller's.
   * `lost` is called when the keeper dies.
   */
  static async open(directory: string, lost: () => void): Promise<{ link: KeeperLink, kept: readonly KeptEntry[] }> {
    const end = performance.now() + START_TIMEOUT_MS
    const fd = await connectOrStart(directory, () => end - performance.now(), KEEPER)
    const kept: KeptEntry[] = []
    return await new Promise((resolve, reject) => {
      let listed = false
      const link = new KeeperLink(fd, (packet) => {
        const entry = readEntry(packet)
        if (entry !== undefined) return kept.push(entry)
        listed = true
        return resolve({ link, kept })
      }, () => (listed ? lost() : reject(new Error('the keeper ended before it answered'))))
      link.#send({ type: 'list' })
    })
  }

  private constructor(fd: number, packet: (packet: Packet) => void, closed: () => void) {
    this.pidfd = peerPidfd(fd) ?? addon.openPidfd(peerCredentials(fd).pid)
    this.#socket = new PacketSocket(fd, { packet, truncated: closed, closed })
  }

  keep(key: string, heap: KeptHeap, files: HeapFiles): void {
    this.#send({ type: 'keep', key, meta: JSON.stringify(heap) }, [files.userfault, files.requests, files.descriptors])
  }

  forget(key: string): void {
    this.#send({ type: 'forget', key })
  }

  close(): void {
    this.#socket.close()
    if (this.pidfd >= 0) addon.closeFd(this.pidfd)
  }

  #send(message: KeeperMessage, fds: readonly number[] = []): void {
    this.#socket.send(encodeMessage(message), fds)
  }
}

/** One kept heap; undefined for the end of the list. */
function readEntry({ bytes, fds }: Packet): KeptEntry | undefined {
  const message = decodeKeeperMessage(bytes)
  if (message.type !== 'kept') return undefined
  const [userfault = -1, requests = -1, descriptors = -1] = fds
  return { heap: decodeKept(Buffer.from(message.meta, 'utf8')), files: { userfault, requests, descriptors } }
}
