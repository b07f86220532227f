import { addon, errnoCode } from './addon.js'

/** Largest message of the packet protocols, in bytes: below the default send buffer of a Unix socket (208 KiB). */
export const MESSAGE_BYTES_MAX = 128 * 1024

export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

export function listenUnix(path: string, kind: 'packets' | 'stream', backlog: number): number {
  return addon.listenUnix(path, kind === 'packets', backlog)
}

export function connectUnix(path: string, kind: 'packets' | 'stream'): number {
  return addon.connectUnix(path, kind === 'packets')
}

/** A connected descriptor (the caller's to close), or undefined when nobody waits. */
export function acceptUnix(fd: number): number | undefined {
  const got = addon.acceptUnix(fd)
  return got < 0 ? undefined : got
}

/** Who made the other end of a Unix socket, as the kernel knows it. */
export function peerCredentials(fd: number): PeerCredentials {
  const [pid, uid, gid] = addon.peerCredentials(fd)
  return { pid, uid, gid }
}

/** A pidfd of the peer (the caller's to close), or undefined where the kernel has none (before Linux 6.5). Throws when no descriptor is left. */
export function peerPidfd(fd: number): number | undefined {
  const got = addon.peerPidfd(fd)
  return got < 0 ? undefined : got
}

/** Copies of all descriptors (the caller's to close; those that were given stay their owner's). Undefined when none is left for that. */
export function duplicateAll(fds: readonly number[]): number[] | undefined {
  const copies: number[] = []
  try {
    for (const fd of fds) copies.push(addon.duplicateFd(fd))
    return copies
  } catch (error) {
    if (errnoCode(error) === undefined) throw error
    for (const fd of copies) addon.closeFd(fd)
    return undefined
  }
}

/** Sends one packet with descriptors (they stay the caller's). False when the peer's buffer is full. Throws when it is gone. */
export function sendPacket(fd: number, bytes: Uint8Array, fds: readonly number[]): boolean {
  return addon.sendMessage(fd, bytes, fds) >= 0
}

export interface Packet {
  /** A private copy. Empty at the end of the stream. */
  readonly bytes: Uint8Array
  /** Owned by the receiver, who closes them. */
  readonly fds: readonly number[]
}

const receiveBuffer = new Uint8Array(MESSAGE_BYTES_MAX)

/** The next packet, or undefined when none is there. A packet beyond the limit throws, its descriptors closed. */
export function receivePacket(fd: number): Packet | undefined {
  const fds: number[] = []
  try {
    const length = addon.receiveMessage(fd, receiveBuffer, fds)
    if (length < 0) return undefined
    return { bytes: receiveBuffer.slice(0, length), fds }
  } catch (error) {
    for (const one of fds) addon.closeFd(one)
    throw error
  }
}
