import { addon, errnoCode, type NativePoller, type NativeWatch } from './addon.js'

/** Tells when a descriptor is ready. The descriptor stays the caller's; close the watch first. */
export interface Watch {
  /** Also, or no longer, tell when a write would not block. */
  setWritable(writable: boolean): void
  /** Stop or go on telling that a read would not block. */
  setReadable(readable: boolean): void
  /** Whether the watch keeps the process alive; true at first. */
  setReferenced(referenced: boolean): void
  close(): void
}

export type WatchCallback = (readable: boolean, writable: boolean) => void

// libuv's poll handles exist in Node only: Bun ends the process when they are asked for, Deno delivers one event.
const hasLibuv = process.versions['bun'] === undefined && process.versions['deno'] === undefined

/** Watches a descriptor for readability. */
export function watch(fd: number, callback: WatchCallback): Watch {
  return hasLibuv ? new PollWatch(fd, callback) : new ThreadWatch(fd, callback)
}

/** By libuv. */
export class PollWatch implements Watch {
  readonly #native: NativeWatch
  #readable = true
  #writable = false
  #open = true

  constructor(fd: number, callback: WatchCallback) {
    this.#native = addon.watchPoll(fd, (events) => {
      if (!this.#open) return
      callback(events < 0 || (events & 1) !== 0, events < 0 || (events & 2) !== 0)
      // libuv stops watching at an error, but what was read now may be what came before it: the error itself comes next.
      if (events < 0) this.#apply()
    })
  }

  setWritable(writable: boolean): void {
    if (writable === this.#writable) return
    this.#writable = writable
    this.#apply()
  }

  setReadable(readable: boolean): void {
    if (readable === this.#readable) return
    this.#readable = readable
    this.#apply()
  }

  setReferenced(referenced: boolean): void {
    if (this.#open) addon.watchReference(this.#native, referenced)
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    addon.watchClose(this.#native)
  }

  #apply(): void {
    if (this.#open) addon.watchEvents(this.#native, this.#readable, this.#writable)
  }
}

let poller: NativePoller | undefined
let nextId = 1
let references = 0
const watches = new Map<number, ThreadWatch>()

function dispatch(id: number, events: number): void {
  watches.get(id)?.deliver(events)
}

/** Where there is no libuv: one epoll thread serves every watch of the isolate; each event must be armed again. */
export class ThreadWatch implements Watch {
  readonly #id = nextId++
  readonly #poller: NativePoller
  #readable = true
  #writable = false
  #referenced = true

  constructor(readonly fd: number, readonly callback: WatchCallback) {
    poller ??= addon.pollerStart(dispatch)
    this.#poller = poller
    addon.pollerArm(poller, fd, this.#id, true, false, true)
    watches.set(this.#id, this)
    this.#count(1)
  }

  deliver(events: number): void {
    try {
      this.callback((events & 1) !== 0, (events & 2) !== 0)
    } finally {
      this.#arm()
    }
  }

  setWritable(writable: boolean): void {
    if (writable === this.#writable) return
    this.#writable = writable
    this.#arm()
  }

  setReadable(readable: boolean): void {
    if (readable === this.#readable) return
    this.#readable = readable
    this.#arm()
  }

  setReferenced(referenced: boolean): void {
    if (referenced === this.#referenced || !watches.has(this.#id)) return
    this.#referenced = referenced
    this.#count(referenced ? 1 : -1)
  }

  close(): void {
    if (!watches.delete(this.#id)) return
    addon.pollerRemove(this.#poller, this.fd)
    if (this.#referenced) this.#count(-1)
  }

  #arm(): void {
    if (watches.has(this.#id)) addon.pollerArm(this.#poller, this.fd, this.#id, this.#readable, this.#writable, false)
  }

  #count(change: number): void {
    references += change
    addon.pollerReference(this.#poller, references > 0)
  }
}

/** Whether a process has ended, also when its parent has not asked for it yet; false where that cannot be told. */
export function hasEnded(pid: number): boolean {
  let fd: number
  try {
    fd = addon.openPidfd(pid)
  } catch (error) {
    if (errnoCode(error) === undefined) throw error
    return false
  }
  if (fd < 0) return true
  try {
    return addon.pollReadable(fd, 0)
  } finally {
    addon.closeFd(fd)
  }
}
