import type { WaitingPolicy } from '../waiting/waiting.js'

/** What a client's end of a connection is told about itself, and whom it tells. */
export interface ClientEndOptions {
  readonly channel: string
  readonly slots: number
  readonly defaultTimeoutMs: number
  readonly policy: WaitingPolicy
  /** The server lives on the same thread: it cannot answer a synchronous call. */
  readonly sameThread: boolean
  /** Results are copied to private memory before anybody reads them. */
  readonly isolateResults: boolean
  /** Hears of deaths while the event loop has no turn. */
  attend(): void
  /** The doorbell has ended: once. */
  onGone(crashed: boolean): void
}
