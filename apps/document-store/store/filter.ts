// What is searched for. A filter is a plain object from path to test, all of which must hold:
//
//   { str1: 'ABC', num: { gte: 10, lt: 20 }, 'nested_obj.str': { prefix: 'GB' }, nested_arr: { contains: 'x' }, dyn2: { exists: true } }
import { Tally, type TallyLimits } from './tally.js'
import { type Found, isScalar, type Scalar } from './values.js'

export interface RangeTest {
  readonly gte?: Scalar
  readonly gt?: Scalar
  readonly lte?: Scalar
  readonly lt?: Scalar
}
export type Test = Scalar | RangeTest | { readonly prefix: string } | { readonly contains: Scalar } | { readonly exists: boolean }
export interface Filter { readonly [path: string]: Test }

/** One end of a range; undefined = open. */
export interface Bound {
  readonly value: number | string
  readonly inclusive: boolean
}

/** One condition of a search, checked. */
export type Condition = { readonly path: string } & (
  | { readonly kind: 'equals' | 'contains', readonly value: Scalar }
  | { readonly kind: 'range', readonly low: Bound | undefined, readonly high: Bound | undefined }
  | { readonly kind: 'prefix', readonly value: string }
  | { readonly kind: 'exists', readonly value: boolean }
)

/** What a test may be, as sentences end with it. */
const FORMS = 'a test is a value (text, number, true, false or null), {"gte", "gt", "lte", "lt": number or text}, {"prefix": text}, {"contains": value} for arrays, or {"exists": true or false}'

/** What a test that is an object may have. */
export const TEST_KEYS: readonly string[] = ['gte', 'gt', 'lte', 'lt', 'prefix', 'contains', 'exists']

/** Each is read, compiled and asked of every document that is looked at. */
const CONDITIONS_MAX = 64
/** Of texts and paths: they are kept as long as the search goes on. */
const UNITS_MAX = 2 ** 24

const LIMITS: TallyLimits = {
  count: CONDITIONS_MAX,
  tooMany: `a filter has at most ${CONDITIONS_MAX} conditions`,
  units: UNITS_MAX,
  tooLong: `the texts of a filter have at most ${UNITS_MAX} code units`,
}

/** Counts the conditions of one search. */
export class ConditionLimit {
  readonly #tally = new Tally(LIMITS)

  /** @throws RangeError when one search has too many, or too long ones. */
  add(condition: Condition): Condition {
    const ends = condition.kind === 'range' ? [condition.low?.value, condition.high?.value] : [condition.value]
    this.#tally.add(condition.path, ...ends)
    return condition
  }
}

/** Reads a filter, which may be anybody's. Throws RangeError that says what is wrong with it. */
export function conditionsOf(filter: unknown): readonly Condition[] {
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter)) throw new RangeError('a filter is an object: { path: value or test, … }')
  const limit = new ConditionLimit()
  return Object.entries(filter as Readonly<Record<string, unknown>>).map(([path, test]) => limit.add(conditionOf(path, test)))
}

function conditionOf(path: string, test: unknown): Condition {
  if (isScalar(test)) return { path, kind: 'equals', value: test }
  if (typeof test !== 'object' || test === null || Array.isArray(test)) throw new RangeError(`the test of "${path}" is ${Array.isArray(test) ? 'an array' : typeof test}: ${FORMS}`)
  const { prefix, contains, exists, ...range } = test as Record<string, unknown>
  const unknown = Object.keys(test).find((key) => !TEST_KEYS.includes(key))
  if (unknown !== undefined) throw new RangeError(`the test of "${path}" has "${unknown}": ${FORMS}`)
  const kinds = [prefix, contains, exists].filter((one) => one !== undefined).length + (Object.keys(range).length > 0 ? 1 : 0)
  if (kinds !== 1) throw new RangeError(`the test of "${path}" says ${kinds === 0 ? 'nothing' : 'several things'}: ${FORMS}`)
  if (typeof prefix === 'string') return { path, kind: 'prefix', value: prefix }
  if (typeof exists === 'boolean') return { path, kind: 'exists', value: exists }
  if (contains !== undefined && isScalar(contains)) return { path, kind: 'contains', value: contains }
  if (Object.keys(range).length === 0) throw new RangeError(`the test of "${path}" has a value of the wrong type: ${FORMS}`)
  return rangeOf(path, range)
}

function rangeOf(path: string, { gte, gt, lte, lt }: Readonly<Record<string, unknown>>): Condition {
  if ((gte !== undefined && gt !== undefined) || (lte !== undefined && lt !== undefined)) {
    throw new RangeError(`the range of "${path}" has two lower or two upper ends`)
  }
  const low = boundOf(path, gte ?? gt, gte !== undefined)
  const high = boundOf(path, lte ?? lt, lte !== undefined)
  return rangeCondition(path, low, high)
}

/** A range whose ends are of one type. */
export function rangeCondition(path: string, low: Bound | undefined, high: Bound | undefined): Condition {
  if (low === undefined && high === undefined) throw new RangeError(`the range of "${path}" has no end`)
  if (low !== undefined && high !== undefined && typeof low.value !== typeof high.value) {
    throw new RangeError(`the ends of the range of "${path}" must be two numbers or two texts`)
  }
  return { path, kind: 'range', low, high }
}

function boundOf(path: string, value: unknown, inclusive: boolean): Bound | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string' && (typeof value !== 'number' || Number.isNaN(value))) {
    throw new RangeError(`a range of "${path}" goes from number to number or from text to text`)
  }
  return { value, inclusive }
}

/** Whether what was found at the condition's path fulfils it. */
export function fulfils(condition: Condition, found: Found): boolean {
  switch (condition.kind) {
    case 'equals': return found === condition.value
    case 'contains': return Array.isArray(found) && found.includes(condition.value)
    case 'exists': return (found !== undefined) === condition.value
    case 'prefix': return typeof found === 'string' && found.startsWith(condition.value)
    case 'range': return (typeof found === 'number' || typeof found === 'string') && inRange(found, condition.low, condition.high)
    default: return unreachable(condition)
  }
}

function inRange(value: number | string, low: Bound | undefined, high: Bound | undefined): boolean {
  if (typeof value !== typeof (low ?? high)?.value) return false
  if (low !== undefined && !(low.inclusive ? value >= low.value : value > low.value)) return false
  return high === undefined || (high.inclusive ? value <= high.value : value < high.value)
}

function unreachable(condition: never): never {
  throw new TypeError(`no such condition: ${JSON.stringify(condition)}`)
}
