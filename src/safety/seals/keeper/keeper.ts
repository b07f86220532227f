import { RpcError } from '../../../base/errors.js'
import { encodeMessage } from '../../../control/protocol/messages.js'
import { PacketSocket } from '../../../control/protocol/packet-socket.js'
import { userId } from '../../../control/place/users.js'
import { keeperLock, keeperSocket, openRuntimeDirectory, removeSocket } from '../../../control/place/runtime-directory.js'
import { Acceptor, addon, duplicateAll, errnoCode, listenUnix, peerCredentials, type Packet } from '../../../sys/index.js'
import { Life } from '../life.js'
import { decodeKeeperMessage, type KeeperMessage } from '../messages.js'

/** Sealed heaps at one keeper, three descriptors each: below the usual limit on descriptors. */
const KEPT_MAX = 65_536
/** How long descriptors are kept for a sealer that does not come back: then their users have long given up. */
const ABANDONED_MS = 60_000
const BACKLOG = 16

export interface KeeperOptions {
  readonly directory: string
  /** How long the keeper stays when it keeps nothing for nobody, in milliseconds. */
  readonly idleMs: number
  readonly onEnd: () => void
}

interface Kept {
  readonly meta: string
  readonly fds: readonly number[]
}

/**
 * Holds the descriptors on which seals depend, and does nothing else: while it lives, the sealer's death lifts no seal, and the
 * next sealer gets them back. It speaks to processes of its own user only.
 */
export class Keeper {
  readonly #options: KeeperOptions
  readonly #lock: number
  readonly #acceptor: Acceptor
  readonly #kept = new Map<string, Kept>()
  readonly #sealers = new Set<PacketSocket>()
  readonly #life = new Life()
  #timer: NodeJS.Timeout | undefined

  /** Starts a keeper in this process, or returns undefined when the directory has one already. */
  static start(options: KeeperOptions): Keeper | undefined {
    openRuntimeDirectory(options.directory)
    const lock = addon.lockFile(keeperLock(options.directory))
    return lock < 0 ? undefined : new Keeper(options, lock)
  }

  private constructor(options: KeeperOptions, lock: number) {
    this.#options = options
    this.#lock = lock
    removeSocket(keeperSocket(options.directory))
    this.#acceptor = new Acceptor(listenUnix(keeperSocket(options.directory), 'packets', BACKLOG), (fd) => this.#welcome(fd))
    this.#awaitIdleness()
  }

  stop(): void {
    clearTimeout(this.#timer)
    removeSocket(keeperSocket(this.#options.directory))
    this.#acceptor.close()
    for (const sealer of this.#sealers) sealer.close()
    for (const key of this.#kept.keys()) this.#forget(key)
    addon.closeFd(this.#lock)
    this.#options.onEnd()
  }

  #welcome(fd: number): void {
    if (peerCredentials(fd).uid !== userId()) {
      addon.closeFd(fd)
      return
    }
    const sealer = new PacketSocket(fd, {
      packet: (packet) => this.#packet(sealer, packet),
      truncated: () => this.#drop(sealer),
      closed: () => this.#left(sealer),
    })
    clearTimeout(this.#timer)
    this.#sealers.add(sealer)
  }

  #left(sealer: PacketSocket): void {
    this.#sealers.delete(sealer)
    this.#awaitIdleness()
  }

  #packet(sealer: PacketSocket, { bytes, fds }: Packet): void {
    let message: KeeperMessage
    try {
      message = decodeKeeperMessage(bytes)
      if (message.type !== 'keep' && fds.length > 0) throw new RpcError('INVALID_ARGUMENT', 'descriptors came unasked')
    } catch {
      for (const fd of fds) addon.closeFd(fd)
      return this.#drop(sealer)
    }
    if (message.type === 'keep') {
      this.#forget(message.key)
      if (this.#kept.size < KEPT_MAX) this.#kept.set(message.key, { meta: message.meta, fds })
      else for (const fd of fds) addon.closeFd(fd)
    } else if (message.type === 'forget') {
      this.#forget(message.key)
    } else if (message.type === 'list') {
      void this.#list(sealer)
    }
    return undefined
  }

  /** One after the other, as the sealer reads them: they may be more than its queue takes. */
  async #list(sealer: PacketSocket): Promise<void> {
    const tell = async (message: KeeperMessage, fds: readonly number[]): Promise<void> => {
      try {
        await new Promise<void>((resolve) => sealer.send(encodeMessage(message), fds, resolve))
      } finally {
        for (const fd of fds) addon.closeFd(fd)
      }
    }
    for (const [key, { meta, fds }] of this.#kept) {
      // What is forgotten while it waits to be sent has its number no more.
      const copies = sealer.isOpen ? duplicateAll(fds) : undefined
      if (copies === undefined) return this.#drop(sealer)
      await tell({ type: 'kept', key, meta }, copies)
    }
    const life = sealer.isOpen ? openedLife(this.#life) : undefined
    if (life === undefined) return this.#drop(sealer)
    await tell({ type: 'end' }, [life])
  }

  /** It may come again. */
  #drop(sealer: PacketSocket): void {
    sealer.close()
    this.#left(sealer)
  }

  #forget(key: string): void {
    for (const fd of this.#kept.get(key)?.fds ?? []) addon.closeFd(fd)
    this.#kept.delete(key)
  }

  #awaitIdleness(): void {
    if (this.#sealers.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      if (this.#sealers.size === 0) this.stop()
    }, this.#kept.size > 0 ? ABANDONED_MS : this.#options.idleMs)
  }
}

/** Undefined when no descriptor is left. */
function openedLife(life: Life): number | undefined {
  try {
    return life.open()
  } catch (error) {
    if (errnoCode(error) === undefined) throw error
    return undefined
  }
}
