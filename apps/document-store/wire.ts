// Conditions and scalars, to and from the forms that they have in shared memory.
import type { Plain, View } from 'rpcool'
import type { BoundValue, ConditionValue, ScalarValue, SearchValue } from './service.js'
import { type Bound, type Condition, ConditionLimit, rangeCondition } from './store/filter.js'
import type { Search } from './store/store.js'
import type { Scalar } from './store/values.js'

export function scalarForm(value: Scalar): Plain<typeof ScalarValue> {
  if (typeof value === 'string') return { kind: 'text', value }
  if (typeof value === 'number') return { kind: 'number', value }
  return typeof value === 'boolean' ? { kind: 'bool', value } : { kind: 'null', value: undefined }
}

export function scalarOf(view: View<typeof ScalarValue>): Scalar {
  return view.kind === 'null' ? null : view.value ?? null
}

/** The limit of a search for all. */
const ALL = 2 ** 32 - 1

export interface FindOptions {
  /** How many at most; all if left out. */
  readonly limit?: number
  /** How many of the first to leave out. */
  readonly skip?: number
}

/** Throws RangeError for what is no option, or no number for it. */
export function limitsOf(options: FindOptions): FindOptions {
  for (const name in options) if (name !== 'limit' && name !== 'skip') throw new RangeError(`a search has no option "${name}"; there are limit and skip`)
  const { limit, skip } = options
  if (!isCount(skip) || !(limit === Infinity || isCount(limit))) throw new RangeError(`limit and skip are whole numbers from 0 to ${ALL}, not ${String(limit)} and ${String(skip)}`)
  return options
}

function isCount(value: number | undefined): boolean {
  return value === undefined || (Number.isInteger(value) && value >= 0 && value <= ALL)
}

export function searchForm(where: readonly Condition[], ticket: number, limit = ALL, skip = 0): Plain<typeof SearchValue> {
  return { where: where.map(conditionForm), limit: Math.min(limit, ALL), skip, ticket }
}

function conditionForm(condition: Condition): Plain<typeof ConditionValue> {
  const { path } = condition
  switch (condition.kind) {
    case 'equals': case 'contains': return { path, test: { kind: condition.kind, value: scalarForm(condition.value) } }
    case 'exists': return { path, test: { kind: 'exists', value: condition.value } }
    case 'prefix': return { path, test: { kind: 'prefix', value: condition.value } }
    case 'range': return { path, test: { kind: 'range', value: { low: boundForm(condition.low), high: boundForm(condition.high) } } }
    default: throw new TypeError(`no such condition: ${String(condition satisfies never)}`)
  }
}

function boundForm(bound: Bound | undefined): Plain<typeof BoundValue> | undefined {
  return bound === undefined ? undefined : { value: scalarForm(bound.value), inclusive: bound.inclusive }
}

/** Reads a search out of a client's memory, once. Throws RangeError for what no client of ours sends. */
export function searchOf({ where, limit, skip }: View<typeof SearchValue>): Search {
  return { where: conditionsIn(where), limit: limit === ALL ? Infinity : limit, skip }
}

export function conditionsIn(where: View<typeof SearchValue>['where']): Condition[] {
  const limit = new ConditionLimit()
  return where.map((condition) => limit.add(conditionOf(condition)))
}

function conditionOf({ path, test }: View<typeof ConditionValue>): Condition {
  switch (test.kind) {
    case 'equals': case 'contains': return { path, kind: test.kind, value: scalarOf(test.value) }
    case 'exists': return { path, kind: 'exists', value: test.value }
    case 'prefix': return { path, kind: 'prefix', value: test.value }
    case 'range': return rangeCondition(path, boundOf(test.value.low), boundOf(test.value.high))
    case 'none': throw new RangeError(`the condition on "${path}" says nothing`)
    default: throw new TypeError(`no such condition: ${String(test satisfies never)}`)
  }
}

function boundOf(view: View<typeof BoundValue> | undefined): Bound | undefined {
  if (view === undefined) return undefined
  const value = scalarOf(view.value)
  if (typeof value !== 'number' && typeof value !== 'string') throw new RangeError('a range goes from number to number or from text to text')
  return { value, inclusive: view.inclusive }
}
