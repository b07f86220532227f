// The one place where a struct's view class and writers are put into source text. For Node { value: u32, next: ref(Node) }:
//
//   class { constructor(r, w) { this[REGION] = r; this[WORD] = w }
//           get value() { const r = this[REGION], w = this[WORD]; return r.i32[w + 1] >>> 0 } … }
import type { Region } from '../../memory/region.js'
import type { Build, Source } from '../graph/build.js'
import type { Copier } from '../graph/copier.js'
import type { Codec } from '../codec.js'
import { Emitter } from '../emit.js'
import { refuseAbsent } from '../problems.js'
import { ScalarCodec } from '../scalar/scalars.js'
import { zeroRegion } from '../graph/staging.js'
import type { Field, StructLayout } from './layout.js'
import { SIZE } from '../view.js'
import { emitKeep } from '../watch.js'

export type ViewClass = new (region: Region, word: number) => object
export type OldViewClass = new (region: Region, word: number, words: number) => object

export interface StructCode {
  readonly View: ViewClass
  /** Writes an object's fields into memory that holds anything; `build` may be null where no field owns memory. */
  readonly fill: (build: Build, region: Region, word: number, value: object) => void
  /** Checks, allocates and writes: only where every field is a scalar. */
  readonly create: ((source: Source, value: object) => object) | null
  link(): void
}

/** Position of a field in its own unit, of the object at word `w`. */
function place(field: Field): string {
  const { unit } = field.codec
  return unit === 4 ? `w + ${field.offset / 4}` : `w * ${4 / unit} + ${field.offset / unit}`
}

function key(field: Field): string {
  return JSON.stringify(field.name)
}

export function emitStruct(layout: StructLayout): StructCode {
  const emitter = new Emitter()
  const keep = emitKeep(emitter)
  const accessors = layout.fields.map((field) => {
    const p = place(field)
    const where = JSON.stringify(field.where)
    return `get ${key(field)}() { const r = this[REGION], w = this[WORD]\n${field.codec.emitReturn(emitter, p)} }
set ${key(field)}(v) { const r = this[REGION], w = this[WORD]\n${field.codec.emitAssign(emitter, p, 'v', where)} }`
  })
  const fill = emitFill(emitter, layout)
  const create = layout.fields.every(({ codec }) => codec instanceof ScalarCodec) ? emitCreate(emitter, layout) : 'null'
  const source = `(() => {
const Self = class { constructor(r, w) { ${keep} }
${accessors.join('\n')} }
return { View: Self, fill: ${fill}, create: ${create} }
})()`
  const compiled = emitter.compile(source)
  return { ...(compiled.value as Omit<StructCode, 'link'>), link: () => compiled.link() }
}

function emitFill(emitter: Emitter, layout: StructLayout): string {
  const writes = layout.fields.map((field) =>
    `v = o[${key(field)}]\n${field.codec.emitWrite(emitter, place(field), 'v', JSON.stringify(field.where))}`)
  return `(b, r, w, o) => { let v\n${emitHeader(layout)}\n${writes.join('\n')} }`
}

/** Everything is checked before anything is allocated, so a refused value costs nothing. */
function emitCreate(emitter: Emitter, layout: StructLayout): string {
  const fields = layout.fields.map((field, i) => ({ field, v: `v${i}`, codec: field.codec as ScalarCodec }))
  const reads = fields.map(({ field, v, codec }) => `const ${v} = o[${key(field)}]\n${codec.emitCheck(emitter, v, JSON.stringify(field.where))}`)
  const stores = fields.map(({ field, v, codec }) => codec.emitStore(place(field), v))
  return `(s, o) => {
${reads.join('\n')}
const w = s.allocate(${layout.words * 4}), r = s.region
${emitHeader(layout)}
${stores.join('\n')}
return new Self(r, w) }`
}

/** Header, and zeros in each word that no field writes as a whole. */
function emitHeader(layout: StructLayout): string {
  const covered = new Set<number>()
  for (const { codec, offset } of layout.fields) {
    if (codec.unit === 4) for (let i = 0; i < codec.bytes / 4; i++) covered.add(offset / 4 + i)
  }
  const lines = [`r.i32[w] = ${layout.header}`]
  for (let i = 1; i < layout.words; i++) if (!covered.has(i)) lines.push(`r.i32[w + ${i}] = 0`)
  return lines.join('\n')
}

/** Copies an object of this very version into fresh memory. */
export type CopyCode = (copier: Copier, from: Region, word: number, to: Region, target: number) => void

export function emitCopy(layout: StructLayout): CopyCode {
  const emitter = new Emitter()
  const moving = layout.fields.filter(({ codec }) => !codec.immediate)
  const isPointer = new Set(moving.flatMap(({ codec, offset }) => Array.from({ length: codec.bytes / 4 }, (_, i) => offset / 4 + i)))
  const lines = [`b[to] = ${layout.header}`]
  for (let i = 1; i < layout.words; i++) if (!isPointer.has(i)) lines.push(`b[to + ${i}] = a[from + ${i}]`)
  for (const { codec, offset } of moving) lines.push(codec.emitCopy(emitter, `from + ${offset / 4}`, `to + ${offset / 4}`))
  const compiled = emitter.compile(`(c, r, from, t, to) => { const a = r.i32, b = t.i32\nlet lo, hi, w\n${lines.join('\n')} }`)
  compiled.link()
  return compiled.value as CopyCode
}

/**
 * The view class for objects of an older, shorter version: a field beyond the object's size reads as its type's empty
 * value, and cannot be written.
 */
export function emitOldView(layout: StructLayout, View: ViewClass): OldViewClass {
  const emitter = new Emitter()
  emitter.named('SIZE', SIZE)
  emitter.named('View', View)
  emitter.named('refuseAbsent', refuseAbsent)
  emitter.named('empty', emptyValue)
  const accessors = layout.fields.map((field) => {
    const codec = emitter.constant(field.codec, 'codec')
    return `get ${key(field)}() { return this[SIZE] < ${field.endWords} ? empty(${codec}) : super[${key(field)}] }
set ${key(field)}(v) { if (this[SIZE] < ${field.endWords}) refuseAbsent(${JSON.stringify(field.where)})\nsuper[${key(field)}] = v }`
  })
  return emitter.compile(`class extends View { constructor(r, w, words) { super(r, w); this[SIZE] = words }
${accessors.join('\n')} }`).value as OldViewClass
}

function emptyValue(codec: Codec): unknown {
  return codec.read(zeroRegion(codec.bytes), 0)
}
