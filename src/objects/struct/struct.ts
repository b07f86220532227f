import { RpcError } from '../../base/errors.js'
import { heapDebug } from '../../memory/heap-debug.js'
import { locate, POISON, type Allocator, type Region } from '../../memory/region.js'
import { Build, type Built } from '../graph/build.js'
import { CODEC, Codec, once, type Describer, type NamedNode, type TypeNode } from '../codec.js'
import type { Copier, Copyable } from '../graph/copier.js'
import type { Gather } from '../graph/gather.js'
import { damaged, mismatch, requireReachable } from '../problems.js'
import { installProtocol } from '../protocol.js'
import { emitCopy, emitOldView, emitStruct, type CopyCode, type OldViewClass, type StructCode } from './code.js'
import { hashOfName, layOut, nameOfHash, requireFieldNames, requireName, type StructLayout } from './layout.js'
import type { StructType } from '../types.js'
import { asView, REGION, SIZE, TYPE, WORD, type Located } from '../view.js'

/** How the objects of one struct lie in memory, and the code generated for it. */
export class StructCodec extends Codec implements Copyable {
  readonly name: string
  readonly align = 8
  readonly #hash: number
  #known: StructLayout | null = null
  #linked: StructCode | null = null
  readonly #old: () => OldViewClass
  readonly #copyWhole: () => CopyCode
  #layingOut = false
  /** Fields that can hold pointers, and the words before them. */
  readonly #moving: () => ReadonlyArray<{ readonly codec: Codec, readonly words: number, readonly endWords: number }>

  constructor(type: StructType) {
    super(type)
    this.name = type.name
    this.#hash = hashOfName(type.name)
    this.#moving = once(() => this.layout.fields.filter(({ codec }) => !codec.immediate)
      .map(({ codec, offset, endWords }) => ({ codec, words: offset / 4, endWords })))
    this.#copyWhole = once(() => emitCopy(this.layout))
    this.#old = once(() => this.#named(emitOldView(this.layout, this.View)))
  }

  #layOut(): StructLayout {
    if (this.#layingOut) throw new RpcError('INVALID_ARGUMENT', `${this.name} contains itself by value: use ref(${this.name}) or list(…)`)
    this.#layingOut = true
    try {
      return layOut(this.name, (this.type as StructType).fields)
    } finally {
      this.#layingOut = false
    }
  }

  #emit(): StructCode {
    const code = emitStruct(this.layout)
    installProtocol(code.View.prototype as object, this.type)
    this.#named(code.View)
    return code
  }

  #named<C extends object>(viewClass: C): C {
    Object.defineProperty(viewClass, 'name', { value: this.name })
    return viewClass
  }

  /** The generated code, made on first use. Known before it is linked, because linking may lead back here. */
  get code(): StructCode {
    if (this.#linked !== null) return this.#linked
    const code = this.#emit()
    this.#linked = code
    code.link()
    return code
  }

  /** The generated view class. Other generated code holds it, so it links itself first. */
  get View(): StructCode['View'] {
    return this.code.View
  }

  get layout(): StructLayout {
    return this.#known ??= this.#layOut()
  }

  get bytes(): number {
    return this.layout.words * 4
  }

  override get immediate(): boolean {
    return this.layout.fields.every(({ codec }) => codec.immediate)
  }

  override get fieldNames(): readonly string[] {
    return this.layout.fields.map(({ name }) => name)
  }

  read(region: Region, p: number): object {
    return new this.View(region, p)
  }

  write(build: Build, region: Region, p: number, value: unknown, where: string): void {
    this.code.fill(build, region, p, requireObject(value, this.name, where))
  }

  fill(build: Build, region: Region, word: number, value: object): void {
    this.code.fill(build, region, word, value)
  }

  /** Builds an object from a plain value, or copies a view's fields; the object is the caller's. */
  create(allocator: Allocator, value: unknown): object {
    const object = requireObject(value, this.name, this.name)
    const { create, View } = this.code
    if (create !== null) return create(allocator, object)
    const build = Build.start(allocator)
    let word: number
    try {
      word = build.root(this, object)
    } catch (error) {
      build.undo()
      throw error
    }
    const { region } = build
    build.finish()
    return new View(region, word)
  }

  /** Builds an object and writes its cell; the blocks it took, refs included, are the caller's. */
  buildRoot(build: Build, value: unknown, out: Int32Array, index: number): Built | undefined {
    const word = build.root(this, requireObject(value, this.name, this.name))
    out[index] = build.region.lowOf(word)
    out[index + 1] = build.region.high
    return build.blocks()
  }

  /** Objects own more than their own block. */
  get ownsMemory(): boolean {
    return this.code.create === null && !this.layout.fields.every(({ codec }) => codec.immediate || codec.type.kind === 'ref')
  }

  override gather(gather: Gather, region: Region, p: number): void {
    this.#gatherFields(gather, region, p, this.layout.words)
  }

  #gatherFields(gather: Gather, region: Region, word: number, size: number): void {
    gather.spend(1)
    for (const { codec, words, endWords } of this.#moving()) if (endWords <= size) codec.gather(gather, region, word + words)
  }

  /** Of a struct whose fields hold no pointers there is one block to free. */
  override release(allocator: Allocator, view: Located, deep: boolean): void {
    if (this.#moving().length > 0) {
      super.release(allocator, view, deep)
      return
    }
    const region = view[REGION]
    this.sizeAt(region, view[WORD])
    allocator.free(region, view[WORD])
  }

  gatherObject(gather: Gather, region: Region, lo: number, hi: number): void {
    const home = locate(region, hi, lo, 2)
    const word = ((lo - home.low) >>> 2) + home.shift
    const size = this.sizeAt(home, word)
    if (gather.block(home, word)) this.#gatherFields(gather, home, word, size)
  }

  copy(copier: Copier, from: Region, p: number, to: Region, q: number): void {
    this.copyObject(copier, from, p, this.layout.words, to, q)
  }

  copyObject(copier: Copier, from: Region, word: number, size: number, to: Region, target: number): void {
    const { header, words } = this.layout
    if (size === words) {
      this.#copyWhole()(copier, from, word, to, target)
      return
    }
    to.i32[target] = header
    const a = from.i32
    const b = to.i32
    for (let i = 1; i < size; i++) b[target + i] = a[word + i]!
    for (let i = size; i < words; i++) to.i32[target + i] = 0
    const moving = this.#moving()
    for (let i = 0; i < moving.length; i++) {
      const { codec, words: at, endWords } = moving[i]!
      if (endWords <= size) codec.copy(copier, from, word + at, to, target + at)
    }
  }

  describe(describer: Describer): TypeNode {
    describer.struct(this)
    return ['struct', this.name]
  }

  fieldNodes(describer: Describer): readonly NamedNode[] {
    return this.layout.fields.map(({ name, type }) => [name, describer.node(type)] as const)
  }

  /** Stores a view's pointer, once its type and its home allow it. */
  point(allocator: Allocator | null, region: Region | null, view: Located, out: Int32Array, index: number, where: string): void {
    const type = view[TYPE]
    if (type !== this.type && !this.#sameStruct(type)) mismatch(where, `a struct ${this.name}`, view)
    const home = view[REGION]
    requireReachable(allocator, region, home, where)
    out[index] = home.lowOf(view[WORD])
    out[index + 1] = home.high
  }

  // Another version of the struct, defined in the same process.
  #sameStruct(type: unknown): boolean {
    return typeof type === 'object' && type !== null && 'name' in type && type.name === this.name
  }

  override writeCell(build: Build, value: unknown, out: Int32Array, index: number, where: string): boolean {
    const view = asView(value)
    if (view !== undefined) {
      this.point(build.allocator, null, view, out, index, where)
      return false
    }
    const object = requireObject(value, this.name, where)
    const word = build.allocate(this.bytes)
    const { region } = build
    build.enter(where)
    this.fill(build, region, word, object)
    build.leave()
    out[index] = region.lowOf(word)
    out[index + 1] = region.high
    return true
  }

  override readCell(region: Region, lo: number, hi: number): object {
    return this.follow(region, lo, hi)
  }

  override gatherCell(gather: Gather, region: Region, lo: number, hi: number): void {
    if (lo === 0 && hi === 0) return
    gather.enter()
    this.gatherObject(gather, region, lo, hi)
    gather.leave()
  }

  override copyCell(copier: Copier, from: Region, lo: number, hi: number, to: Region, q: number): void {
    const home = locate(from, hi, lo, 2)
    const word = ((lo - home.low) >>> 2) + home.shift
    const size = this.sizeAt(home, word)
    const target = copier.allocate(this.bytes)
    const { region } = copier
    copier.enter()
    this.copyObject(copier, home, word, size, region, target)
    copier.leave()
    copier.point(to, q, region, target)
  }

  /** Objects behind refs are copied once, the root among them. */
  override copyView(copier: Copier, view: Located): object {
    const from = view[REGION]
    const target = copier.copyOf(this, from, from.lowOf(view[WORD]), from.high)
    const { region } = copier
    copier.run()
    return this.read(region, target)
  }

  /** A pointer that is not plainly inside the region: null, in another heap, or of an old object near a region's end. */
  far(region: Region, lo: number, hi: number): object | null {
    return (lo | 0) === 0 && (hi | 0) === 0 ? null : this.follow(region, lo | 0, hi | 0)
  }

  /** The view of the object at a pointer, which is not null. */
  follow(region: Region, lo: number, hi: number): object {
    const home = locate(region, hi, lo, 2)
    if (--region.budget < 0) region.spent()
    return this.viewAt(home, ((lo - home.low) >>> 2) + home.shift)
  }

  /** The view of an object whose first two words lie in the region. */
  viewAt(region: Region, word: number): object {
    const size = this.sizeAt(region, word)
    return size === this.layout.words ? new this.View(region, word) : new (this.#old())(region, word, size)
  }

  /** Words of the object that are ours to read: its header is read once, and checked against type and region. */
  sizeAt(region: Region, word: number): number {
    const header = region.i32[word]! >>> 0
    if (header >>> 0 === POISON >>> 0) heapDebug?.check(region, word, 'use', this.name)
    if (header >>> 16 !== this.#hash) damaged(`expected an object of struct ${this.name}, found ${nameOfHash(header >>> 16)}`)
    const size = Math.min(header & 0xffff, this.layout.words)
    if (size < 2 || size > region.words - (word - region.shift)) damaged(`an object of struct ${this.name} does not fit its region`)
    return size
  }
}

/** Words of the object a struct's view stands for, as far as this side knows its fields. */
export function sizeOfView(view: Located, codec: StructCodec): number {
  const size = (view as { readonly [SIZE]?: number })[SIZE]
  return size ?? codec.layout.words
}

function requireObject(value: unknown, name: string, where: string): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) mismatch(where, `a struct ${name}`, value)
  return value
}

/**
 * Declares a struct. Fields keep the order of declaration; a field that refers to the struct itself, or to one declared
 * later, is written as a getter. Fields may be appended later: old and new peers understand each other.
 *
 *     const Node = struct('Node', { value: u32, get next() { return ref(Node) } })
 *
 * @throws RpcError INVALID_ARGUMENT for a reserved or unusable name.
 */
export function struct<const Fields extends object>(name: string, fields: Fields): StructType<Fields> {
  requireName(name, 'the name of a struct')
  requireFieldNames(name, fields)
  const type: StructType<Fields> = { kind: 'struct', name, label: name, fields, [CODEC]: once(() => new StructCodec(type)) }
  return type
}
