import { RpcError } from '../../base/errors.js'
import { PAGE_BYTES } from '../../base/numbers.js'
import type { IncomingConnection, MemoryGrant } from '../../control/index.js'
import { SealState } from '../../layout/control-layout.js'
import { DESCRIPTORS_DEFAULT, sealDescriptorsBytes } from '../../layout/seal-layout.js'
import { COOPERATIVE, type SealDemand, SealReader, SealVerifier, type Strength, unmetDemand } from '../../safety/index.js'
import { addon, errnoCode } from '../../sys/index.js'
import type { AttachedHeaps, SealablePages } from '../heaps/attached-memory.js'
import { acquireSealClient, releaseSealClient } from '../isolate.js'
import type { ServerEnd } from './server-end.js'

/** Cooperative seals have nobody whose death could lift them. */
const NOBODY = { now: 0, liveSince: (): boolean => true }

/** The seals of one client, as its server attaches to them: at most once for a connection. */
export class ServerSeals {
  /** What was verified; undefined without seals. */
  strength: Strength | undefined
  readonly #request: IncomingConnection
  readonly #heaps: AttachedHeaps
  readonly #demand: SealDemand
  readonly #wanted: boolean
  #begun = false
  #closed = false
  #detach: (() => void) | undefined

  /** @param wanted whether any method of the server takes sealed arguments. */
  constructor(request: IncomingConnection, heaps: AttachedHeaps, demand: SealDemand, wanted: boolean) {
    this.#request = request
    this.#heaps = heaps
    this.#demand = demand
    this.#wanted = wanted
  }

  /**
   * The client has brought memory for sealed arguments. Takes over the grant. What is wrong with it costs the client its seals; who
   * demands one is told why.
   */
  async attach(grant: MemoryGrant, end: ServerEnd | undefined): Promise<void> {
    const first = !this.#begun
    this.#begun = true
    let pages: SealablePages | undefined
    try {
      pages = this.#heaps.addSealable(grant, this.#isWritable)
      if (end === undefined || !first || !this.#wanted) throw new RpcError('FAILED_PRECONDITION', 'this server wants no seals of the client')
      await this.#use(pages, end)
    } catch (error) {
      if (!RpcError.is(error) && errnoCode(error) === undefined) throw error
      if (first && !this.#closed && end !== undefined) tell(end, RpcError.is(error) ? error.sentence : String(error), SealState.NONE)
    } finally {
      if (pages !== undefined) addon.closeFd(pages.file)
    }
  }

  /** Ends them. Idempotent. */
  close(): void {
    this.#closed = true
    this.#letGo()
    this.strength = undefined
  }

  get #isCooperative(): boolean {
    const { info } = this.#request
    return typeof info === 'object' && info !== null && 'seals' in info && info.seals === 'cooperative'
  }

  /** Else a private mapping of this process, which only reads: a client in the same process has the same mapping. */
  get #isWritable(): boolean {
    return this.#isCooperative || this.#request.client.pid === process.pid
  }

  #letGo(): void {
    this.#detach?.()
    this.#detach = undefined
  }

  async #use(pages: SealablePages, end: ServerEnd): Promise<void> {
    const ringBytes = this.#isCooperative ? sealDescriptorsBytes(DESCRIPTORS_DEFAULT) : 0
    const { mapping } = pages
    if (mapping.byteLength <= ringBytes) throw new RpcError('INVALID_ARGUMENT', 'the client\'s memory for sealed arguments is too small')
    const { verifier, strength } = this.#isCooperative
      ? { verifier: new SealVerifier(mapping.buffer, DESCRIPTORS_DEFAULT, (mapping.byteLength - ringBytes) / PAGE_BYTES, NOBODY), strength: COOPERATIVE }
      : await this.#receive(pages)
    if (this.#closed) return
    const unmet = unmetDemand(strength, this.#demand)
    if (unmet !== undefined) {
      this.#letGo()
      tell(end, unmet, SealState.TOO_WEAK)
      return
    }
    this.strength = strength
    end.isolation.seals = new SealReader(verifier, this.#heaps.readPages(pages, ringBytes / PAGE_BYTES), strength)
    end.tellSeals(SealState.ATTACHED)
  }

  async #receive({ mapping, file }: SealablePages): Promise<{ readonly verifier: SealVerifier, readonly strength: Strength }> {
    const client = acquireSealClient()
    try {
      const receiving = await client.attachReceiver({ token: this.#request.token, address: mapping.address, byteLength: mapping.byteLength, file })
      this.#detach = (): void => {
        receiving.close()
        releaseSealClient()
      }
      if (this.#closed) this.#letGo()
      return receiving
    } catch (error) {
      releaseSealClient()
      throw error
    }
  }
}

/** There are no seals. `why` is a clause for who demands one. */
function tell(end: ServerEnd, why: string, state: number): void {
  end.isolation.noSeals = why
  end.tellSeals(state)
}
