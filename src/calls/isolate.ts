import { DaemonClient } from '../control/index.js'
import { SealClient } from '../safety/index.js'
import { DoorbellListener } from './server/listener.js'
import { HotSet } from './server/hot-set.js'
import { type Poller, sharedPoller } from './waiting/poller.js'

/** What the servers and clients of an isolate share. */
export interface Isolate {
  readonly daemon: DaemonClient
  readonly poller: Poller
  readonly hotSet: HotSet
}

let isolate: Isolate | undefined

export function sharedIsolate(): Isolate {
  if (isolate === undefined) {
    const poller = sharedPoller()
    isolate = { daemon: DaemonClient.shared(), poller, hotSet: new HotSet(poller) }
  }
  return isolate
}

let listener: DoorbellListener | undefined
let listenerUsers = 0

/** The isolate's listener for doorbells; it lives as long as anybody uses it. */
export function acquireListener(): DoorbellListener {
  listener ??= new DoorbellListener()
  listenerUsers++
  return listener
}

export function releaseListener(): void {
  if (--listenerUsers > 0) return
  listener?.close()
  listener = undefined
}

let seals: SealClient | undefined
let sealUsers = 0

/** The isolate's link to the sealer, made on first need; it lives as long as anybody uses it. */
export function acquireSealClient(): SealClient {
  seals ??= SealClient.ofDirectory()
  sealUsers++
  return seals
}

export function releaseSealClient(): void {
  if (--sealUsers > 0) return
  seals?.close()
  seals = undefined
}
