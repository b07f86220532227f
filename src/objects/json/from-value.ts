// A document from a plain value, with JSON.stringify's rules for what is written and how.
import { types } from 'node:util'
import { RpcError } from '../../base/errors.js'
import { FALSE, INT, NULL, TRUE } from '../../layout/json-layout.js'
import type { Allocator } from '../../memory/region.js'
import type { Source } from '../graph/build.js'
import { REGION, WORD, type Located } from '../view.js'
import { type Built, JsonBuilder, requireLength } from './builder.js'
import { copyContainer } from './copy.js'
import { MAX_JSON_DEPTH } from './limits.js'
import { type KeyNode, KeyPath } from './intern.js'
import { closeTracked, KeyTrack } from './objects.js'
import { isJson, jsonView, tagOf } from './whole.js'

// One builder is kept; another is made when user code that runs meanwhile (toJSON, a getter) builds a document too.
let spare: JsonBuilder | null = null

function begin(source: Source, allocator: Allocator): JsonBuilder {
  const builder = spare ?? new JsonBuilder()
  spare = null
  builder.begin(source, allocator)
  return builder
}

/** The document that was left on the builder's stack. */
function finish(builder: JsonBuilder): Built {
  const built = builder.finish()
  spare = builder
  return built
}

/** Runs `work` with a builder and finishes the document that it left on the stack. */
export function withBuilder(source: Source, allocator: Allocator, work: (builder: JsonBuilder) => void): Built {
  const builder = begin(source, allocator)
  work(builder)
  return finish(builder)
}

/** Writes a document of a value; `where` names the place in messages. @throws RpcError INVALID_ARGUMENT for what is not JSON. */
export function writeValue(source: Source, allocator: Allocator, value: unknown, where: string): Built {
  hasInherited = isInherited()
  // Without a closure for each document.
  const builder = begin(source, allocator)
  if (!pushValue(builder, value, '', 0)) {
    throw new RpcError('INVALID_ARGUMENT', `${where}: ${typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`} is not JSON`)
  }
  return finish(builder)
}

/** Whether somebody gave Object.prototype properties that for…in would find in every object. */
function isInherited(): boolean {
  for (const _ in Object.prototype) return true
  return false
}

/** False for what JSON has no form for, and which objects leave out. */
function pushValue(builder: JsonBuilder, value: unknown, key: string, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      builder.pushString(value)
      return true
    case 'number':
      pushFinite(builder, value)
      return true
    case 'boolean':
      builder.pushConstant(value ? TRUE : FALSE)
      return true
    case 'object':
      if (value !== null) return pushObject(builder, value, key, depth)
      builder.pushConstant(NULL)
      return true
    case 'bigint':
      return pushBigInt(builder, value, key, depth)
    case 'function':
      return pushFunction(builder, value, key, depth)
    case 'undefined':
    case 'symbol':
      break
  }
  return false
}

// A function is an object: it may say what it is as JSON.
function pushFunction(builder: JsonBuilder, value: object, key: string, depth: number): boolean {
  const { toJSON } = value as { readonly toJSON?: unknown }
  return typeof toJSON === 'function' && pushConverted(builder, Reflect.apply(toJSON, value, [key]), key, depth)
}

function pushFinite(builder: JsonBuilder, value: number): void {
  // JSON has no minus zero, as JSON.stringify writes it.
  if ((value | 0) === value) builder.push(value | 0, INT << 16)
  else if (Number.isFinite(value)) builder.pushNumber(value)
  else builder.pushConstant(NULL)
}

function pushBigInt(builder: JsonBuilder, value: bigint, key: string, depth: number): boolean {
  const toJson: unknown = Reflect.get(BigInt.prototype, 'toJSON')
  if (typeof toJson !== 'function') return pushScalar(builder, value, key)
  return pushConverted(builder, Reflect.apply(toJson, value, [key]), key, depth)
}

/** What toJSON answered, which is not asked again. */
function pushConverted(builder: JsonBuilder, value: unknown, key: string, depth: number): boolean {
  if (typeof value === 'object' && value !== null) return pushObject(builder, value, key, depth, true)
  return typeof value !== 'function' && pushScalar(builder, value, key)
}

/** An object that JSON may have a form of its own for. One frame for all of it: each level of nesting costs stack. */
function pushObject(builder: JsonBuilder, value: object, key: string, depth: number, isConverted = false): boolean {
  const { toJSON } = value as { readonly toJSON?: unknown }
  if (toJSON !== undefined) {
    // Copied as it lies: of what a peer has written a plain value could be more than there is memory for.
    if (isJson(value)) return pushView(builder, jsonView(value), depth)
    if (typeof toJSON === 'function' && !isConverted) {
      const converted: unknown = Reflect.apply(toJSON, value, [key])
      if (typeof converted !== 'object' || converted === null) return pushConverted(builder, converted, key, depth)
      value = converted
    }
  }
  if (depth >= MAX_JSON_DEPTH) {
    throw new RpcError('INVALID_ARGUMENT', `JSON is nested at most ${MAX_JSON_DEPTH} deep here; this value is deeper, or contains itself`)
  }
  if (Array.isArray(value)) pushArray(builder, value, depth + 1)
  else if (Object.getPrototypeOf(value) === Object.prototype) pushRecord(builder, value as Readonly<Record<string, unknown>>, depth + 1)
  else if (isBoxed(value)) return pushScalar(builder, unboxed(value), key)
  else pushListed(builder, value as Readonly<Record<string, unknown>>, Object.keys(value), depth + 1)
  return true
}

function pushView(builder: JsonBuilder, view: Located, depth: number): true {
  copyContainer(builder, unlimited, view[REGION], view[WORD], tagOf(view), depth)
  return true
}

// What is copied takes memory of the heap, which ends.
const unlimited = { spend: (): void => undefined }

/** What an object was converted to, when it is none. */
function pushScalar(builder: JsonBuilder, value: unknown, key: string): boolean {
  if (typeof value === 'bigint') throw new RpcError('INVALID_ARGUMENT', `JSON has no bigint${key === '' ? '' : ` (at ${JSON.stringify(key)})`}: use a number or a string`)
  return pushValue(builder, value, key, 0)
}

function isBoxed(value: object): boolean {
  return types.isNumberObject(value) || types.isStringObject(value) || types.isBooleanObject(value) || types.isBigIntObject(value)
}

function unboxed(value: object): unknown {
  if (types.isNumberObject(value)) return Number(value)
  return types.isStringObject(value) ? String(value) : value.valueOf()
}

function pushArray(builder: JsonBuilder, values: readonly unknown[], depth: number): void {
  const start = builder.sp
  const { length } = values
  requireLength(length)
  for (let i = 0; i < length; i++) {
    const value = values[i]
    if (typeof value === 'string') builder.pushString(value)
    else if (typeof value === 'number') pushFinite(builder, value)
    // Only what toJSON may be asked of has use for its key.
    else if (!pushValue(builder, value, typeof value === 'boolean' ? '' : String(i), depth)) builder.pushConstant(NULL)
  }
  builder.closeArray(start)
}

/** An object with nothing inherited but from Object.prototype: for…in finds its properties fastest. */
function pushRecord(builder: JsonBuilder, object: Readonly<Record<string, unknown>>, depth: number): void {
  if (hasInherited) {
    pushListed(builder, object, Object.keys(object), depth)
    return
  }
  const { intern, sp: start } = builder
  // Most objects need none: all of their keys lead on in the tree.
  let track = intern === null ? new KeyTrack(builder) : null
  let path = intern === null ? NO_PATH : intern.recentPath(depth)
  let { keys } = path
  let count = 0
  let turn: KeyNode | null = null
  for (const key in object) {
    const value = object[key]
    if (value === undefined) continue
    if (track !== null) track.enter(key)
    else if (count < keys.length && keys[count] === key) count++
    else {
      const node = intern!.nodeOn(path, count)
      const child = node.child(key)
      if (child === null) {
        track = new KeyTrack(builder, start, node)
        track.enter(key)
      } else {
        path = child.path ??= KeyPath.to(child)
        keys = path.keys
        count++
        turn ??= child
      }
    }
    if (typeof value === 'string') builder.pushString(value)
    else if (typeof value === 'number') pushFinite(builder, value)
    else if (!pushValue(builder, value, key, depth)) {
      if (track !== null) track.leaveOut()
      else {
        count--
        turn = null
      }
    }
  }
  if (track !== null) track.close()
  else {
    closeTracked(builder, start, intern!.nodeOn(path, count), depth === 1)
    if (turn !== null) intern!.took(depth, path, turn)
  }
}

const NO_PATH = new KeyPath([], [])

function pushListed(builder: JsonBuilder, object: Readonly<Record<string, unknown>>, keys: readonly string[], depth: number): void {
  const track = new KeyTrack(builder)
  for (const key of keys) {
    track.enter(key)
    if (!pushValue(builder, object[key], key, depth)) track.leaveOut()
  }
  track.close()
}

let hasInherited = false
