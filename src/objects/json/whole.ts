// What is done with a whole document, given a view of it.
import { isDeepStrictEqual } from 'node:util'
import { RpcError } from '../../base/errors.js'
import { ARRAY, OBJECT } from '../../layout/json-layout.js'
import type { AnyType } from '../codec.js'
import { MAX_WALK_NODES } from '../limits.js'
import { asView, REGION, TYPE, WORD, type Located } from '../view.js'
import { PlainReader } from './plain.js'

/** On views of arrays. */
export const IS_ARRAY: unique symbol = Symbol('rpcool.array')

/** OBJECT or ARRAY: what a view, as {@link asView} gives it, is a view of. */
export function tagOf(view: Located): number {
  return (view as { readonly [IS_ARRAY]?: unknown })[IS_ARRAY] === true ? ARRAY : OBJECT
}

/** Whether a value is a view of an object or array of json. */
export function isJson(value: unknown): boolean {
  const view = asView(value)
  return view !== undefined && (view[TYPE] as AnyType).kind === 'json'
}

/** The view of json behind a value. */
export function jsonView(value: unknown): Located {
  const view = asView(value)
  if (view === undefined || (view[TYPE] as AnyType).kind !== 'json') throw new RpcError('INVALID_ARGUMENT', 'expected a view of json')
  return view
}

/** The plain value of a view of json. */
export function plainOf(value: object): object {
  const view = jsonView(value)
  return new PlainReader(MAX_WALK_NODES).container(view[REGION], view[WORD], tagOf(view))
}

/**
 * Whether two JSON values are equal in structure: the same keys, in whatever order, with equal values. Each may be a view
 * of json or a plain value.
 */
export function jsonEqual(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(isJson(a) ? plainOf(a as object) : a, isJson(b) ? plainOf(b as object) : b)
}

