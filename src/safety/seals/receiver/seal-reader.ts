import { RpcError } from '../../../base/errors.js'
import { PAGE_BYTES } from '../../../base/numbers.js'
import { Region } from '../../../memory/index.js'
import type { Holding } from '../../isolated-arguments.js'
import type { SealVerifier } from '../descriptors.js'
import { formatStrength, type Strength } from '../strength.js'

/** Pointers that a handler may follow in a sealed argument, whatever its size. */
const WALK_MIN = 1 << 20
const PAGE_WORDS = PAGE_BYTES / 4

/** A sealed argument in the hands of its handler: read where the sender wrote it. */
export class SealedReading implements Holding {
  /** The sealed range, and nothing else. Only read. */
  readonly region: Region
  /** @internal */
  index = -1
  readonly #reader: SealReader

  /** @internal */
  constructor(reader: SealReader, home: Region) {
    this.#reader = reader
    const region = Region.within(home)
    region.readOnly = true
    region.endless = false
    this.region = region
  }

  /** Marks the call complete: its sender may release the seal. False when the seal did not hold all the time. Idempotent. */
  release(): boolean {
    if (this.index < 0) return true
    // A view that outlives its call reaches nothing by pointers.
    this.region.words = 0
    const held = this.#reader.complete(this.index)
    this.index = -1
    this.#reader.kept.push(this)
    return held
  }
}

/** The receiver's seals of one connection: verifies each call's seal, and reads its argument in place. */
export class SealReader {
  /** @internal Regions are slow to make. */
  readonly kept: SealedReading[] = []
  readonly #verifier: SealVerifier
  readonly #home: Region

  /** @param home the sealable pages, as this process maps them. */
  constructor(verifier: SealVerifier, home: Region, readonly strength: Strength) {
    this.#verifier = verifier
    this.#home = home
  }

  /**
   * The argument's range, under a seal that is this call's until it is released. All numbers come from the peer, and were read once.
   * @throws RpcError FAILED_PRECONDITION when the range is not sealed, or its seal served another call.
   */
  take(index: number, low: number, high: number, used: number): SealedReading {
    const words = (used + 3) >>> 2
    const home = this.#home
    const word = words === 0 || (low & 7) !== 0 ? -1 : home.resolve(high, low, words)
    if (word < 0) this.#refuse('its scope does not lie in the connection\'s memory for sealed arguments: make it with createScope of this connection, or pass a plain value')
    const first = (word - home.shift) / PAGE_WORDS >>> 0
    const last = (word - home.shift + words - 1) / PAGE_WORDS >>> 0
    if (!this.#verifier.verify(index, first, last - first + 1)) {
      this.#refuse(this.#verifier.isBroken
        ? 'the sealer found that the client can write to sealed pages all the same: none of its seals counts any more'
        : `descriptor ${index} seals other pages, or none, or was used by a call before: each call needs a seal of its own over all of its argument`)
    }
    const reading = this.kept.pop() ?? new SealedReading(this, home)
    reading.index = index
    const { region } = reading
    region.aim(word, words, high, low)
    region.allowance = words > WALK_MIN ? words : WALK_MIN
    region.refill()
    return reading
  }

  /** Of a call that is refused: its seal serves nobody, and is marked complete. */
  dismiss(index: number): void {
    if (this.#verifier.verifyAny(index)) this.#verifier.complete(index)
  }

  /** @internal */
  complete(index: number): boolean {
    const held = this.#verifier.held(index)
    this.#verifier.complete(index)
    return held
  }

  #refuse(why: string): never {
    throw new RpcError('FAILED_PRECONDITION', `the argument is not sealed as its method demands: ${why} (seals here: ${formatStrength(this.strength)})`)
  }
}
