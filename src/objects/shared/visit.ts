import { RpcError } from '../../base/errors.js'
import type { Address } from '../../base/numbers.js'
import type { Allocator, Membership, Region, RegionScope, RegionSpace } from '../../memory/region.js'

/** What takes a region's place when its visit has ended: whatever is asked of it, it throws. */
const ENDED = new Proxy({}, {
  get: () => {
    throw new RpcError('FAILED_PRECONDITION',
      'a view that was kept from the function of read or write is used after that has ended: give back what is to be kept as plain(view), or read it again')
  },
}) as Region

/**
 * A region as the function sees it that is given to `read` or `write` of something shared: the same memory, read-only for `read`,
 * until the function ends. It is a view's region like any other, and each view reached from there leads back to it, in whatever heap
 * of the connection. It must cost little to make: it holds nothing but where to look, and ends by one store for each heap.
 */
export class Visit implements RegionSpace {
  #home: Region
  readonly #looks: boolean
  /** The visit that reached this one through a pointer into another heap; itself for the first. */
  readonly #first: Visit
  #others: Visit[] | null = null

  /** @param looks whether writes through it are refused. */
  constructor(home: Region, looks: boolean, first?: Visit) {
    this.#home = home
    this.#looks = looks
    this.#first = first ?? this
  }

  /** From here on every view of it is an error. */
  end(): void {
    this.#home = ENDED
    if (this.#others === null) return
    for (const other of this.#others) other.#home = ENDED
  }

  get isLook(): boolean {
    return this.#home.isLook || this.#looks
  }

  get origin(): Region {
    return this.#home.origin
  }

  get space(): RegionSpace | null {
    return this.#home.space === null ? null : this
  }

  locate(high: number, low: number, byteLength: number): Region | undefined {
    const other = this.#home.space?.locate(high, low, byteLength)
    const first = this.#first
    return other === undefined ? undefined : first.#beside(other)
  }

  #beside(home: Region): Visit {
    if (home === this.#home) return this
    let visit = this.#others?.find((other) => other.#home === home)
    if (visit === undefined) (this.#others ??= []).push(visit = new Visit(home, this.#looks, this))
    return visit
  }

  get readOnly(): boolean {
    return this.#home.readOnly || this.#looks
  }

  get i8(): Int8Array {
    return this.#home.i8
  }

  get u8(): Uint8Array {
    return this.#home.u8
  }

  get i16(): Int16Array {
    return this.#home.i16
  }

  get u16(): Uint16Array {
    return this.#home.u16
  }

  get i32(): Int32Array {
    return this.#home.i32
  }

  get f32(): Float32Array {
    return this.#home.f32
  }

  get f64(): Float64Array {
    return this.#home.f64
  }

  get high(): number {
    return this.#home.high
  }

  get low(): number {
    return this.#home.low
  }

  get words(): number {
    return this.#home.words
  }

  get shift(): number {
    return this.#home.shift
  }

  get budget(): number {
    return this.#home.budget
  }

  set budget(pointers: number) {
    this.#home.budget = pointers
  }

  get allowance(): number {
    return this.#home.allowance
  }

  get endless(): boolean {
    return this.#home.endless
  }

  get isPrivate(): boolean {
    return this.#home.isPrivate
  }

  get allocator(): Allocator | null {
    return this.#home.allocator
  }

  get membership(): Membership | null {
    return this.#home.membership
  }

  get scope(): RegionScope | null {
    return this.#home.scope
  }

  get shapes(): Int32Array {
    return this.#home.shapes
  }

  get shapeFactor(): number {
    return this.#home.shapeFactor
  }

  aim(): never {
    throw new RpcError('INTERNAL', 'a visit is of a whole region')
  }

  addressOf(word: number): Address {
    return this.#home.addressOf(word)
  }

  lowOf(word: number): number {
    return this.#home.lowOf(word)
  }

  resolve(high: number, low: number, words: number): number {
    return this.#home.resolve(high, low, words)
  }

  refill(): void {
    this.#home.refill()
  }

  spent(): void {
    this.#home.spent()
  }
}
