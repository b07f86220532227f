import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

declare const opaque: unique symbol
/** The holder of one attachment of a mapping, made by `mapFile`, given back to `unmap`. */
export interface NativeHolder { readonly [opaque]: 'holder' }
export interface NativeWatch { readonly [opaque]: 'watch' }
export interface NativePoller { readonly [opaque]: 'poller' }

/** The addon's functions, one to one. Failures throw an Error with `code`, `errno`, `syscall` and `argument`. */
export interface Addon {
  reserveWindow(address: number, length: number, holes: Uint8Array): boolean
  mapFile(fd: number, address: number, length: number, writable: boolean): [ArrayBuffer, NativeHolder]
  unmap(buffer: ArrayBuffer, holder: NativeHolder): boolean
  revoke(address: number): boolean
  mappings(): number
  advise(address: number, length: number, advice: number): void

  openWindow(buffer: ArrayBuffer, offset: number, length: number, address: number): void
  closeWindow(buffer: ArrayBuffer, offset: number, length: number): void

  memfdCreate(name: string, flags: number): number
  truncateFile(fd: number, length: number): void
  addSeals(fd: number, seals: number): void
  getSeals(fd: number): number
  fileLength(fd: number): number
  closeFd(fd: number): void
  duplicateFd(fd: number): number
  lockFile(path: string): number

  listenUnix(path: string, packets: boolean, backlog: number): number
  connectUnix(path: string, packets: boolean): number
  acceptUnix(fd: number): number
  sendMessage(fd: number, bytes: Uint8Array, fds?: readonly number[]): number
  receiveMessage(fd: number, buffer: Uint8Array, fds: number[]): number
  peerCredentials(fd: number): [pid: number, uid: number, gid: number]
  peerPidfd(fd: number): number
  ringDoorbell(fd: number): number
  drainDoorbell(fd: number): number
  shutdownSocket(fd: number): number
  pollReadable(fd: number, timeoutMs: number): boolean

  watchPoll(fd: number, callback: (events: number) => void): NativeWatch
  watchEvents(watch: NativeWatch, readable: boolean, writable: boolean): void
  watchReference(watch: NativeWatch, keepAlive: boolean): void
  watchClose(watch: NativeWatch): void
  pollerStart(callback: (id: number, events: number) => void): NativePoller
  pollerArm(poller: NativePoller, fd: number, id: number, readable: boolean, writable: boolean, first: boolean): void
  pollerRemove(poller: NativePoller, fd: number): void
  pollerReference(poller: NativePoller, keepAlive: boolean): void

  createBell(): number
  ringBell(bell: number): number
  createBellWait(): number
  createTicker(wait: number): number
  setTicker(ticker: number, periodMs: number): number
  addBell(wait: number, bell: number): number
  removeBell(wait: number, bell: number): number
  waitForBell(wait: number): number

  currentCpu(): number
  yieldCpu(): void
  runOnCpu(cpu: number): number
  sleepMicroseconds(duration: number): void
  holdLife(buffer: ArrayBuffer): number
  openPidfd(pid: number): number

  openUserfaultDevice(): number
  createUserfault(device: number): number
  userfaultApi(fd: number, features: number): void
  userfaultRegister(fd: number, address: number, length: number, modes: number): void
  writeProtect(fd: number, address: number, length: number, protect: boolean): number
  userfaultContinue(fd: number, address: number, length: number, mode: number): number
  userfaultZero(fd: number, address: number, length: number): number
  setNonBlocking(fd: number): boolean
  readUserfaultEvent(fd: number): [event: number, a: number, b: number, c: number] | undefined

  traceProgram(argv: Uint8Array, environment: Uint8Array, fds: Uint8Array): number
  tracedCall(pid: number, call: Uint8Array): number
  tracedWrite(pid: number, address: number, bytes: Uint8Array): void
  traceEnd(pid: number, run: boolean): void
  reapChild(pid: number): number
  takeFd(pidfd: number, fd: number): number

  protectMemory(address: number, length: number, writable: boolean): number
  sealMapping(address: number, length: number): void
}

/** The package's root folder: where prebuilds/ lies, found upwards from this file in every form of the build. */
export function packageRoot(): string {
  const start = dirname(fileURLToPath(import.meta.url))
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'prebuilds'))) return folder
    if (folder === dirname(folder)) {
      throw new Error(`rpcool: no prebuilds folder above ${start}; run "npm run build" in a checkout, or install again`)
    }
  }
}

function load(): Addon {
  if (process.platform !== 'linux') {
    throw new Error(`rpcool: needs Linux (memfd, userfaultfd, Unix sockets with descriptors), not ${process.platform}`)
  }
  const file = join(packageRoot(), 'prebuilds', `linux-${process.arch}`, 'rpcool.node')
  if (!existsSync(file)) {
    throw new Error(`rpcool: no prebuilt addon for linux-${process.arch} (${file}); "npm run build" in a checkout makes one`)
  }
  try {
    return createRequire(import.meta.url)(file) as Addon
  } catch (cause) {
    throw new Error(`rpcool: the addon ${file} does not load here: ${String(cause)}`, { cause })
  }
}

export const addon: Addon = load()

/** The errno name of a failed system call, or undefined for any other error. */
export function errnoCode(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : undefined
}
