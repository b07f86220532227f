import { RpcError } from '../../base/errors.js'

/** A message that no correct program sends: its sender is dropped. */
export class ProtocolError extends RpcError {
  constructor(readonly problem: string) {
    super('INVALID_ARGUMENT', `protocol error: ${problem}`)
  }
}

/** Returns the value, typed, or throws a ProtocolError that names the field. */
export type Check<T> = (value: unknown, field: string) => T

export type Checked<C> = C extends Check<infer T> ? T : never
type Fields = Readonly<Record<string, Check<unknown>>>
export type Shape<F extends Fields> = { readonly [K in keyof F]: Checked<F[K]> }

function fail(field: string, expected: string): never {
  throw new ProtocolError(`the field ${field} must be ${expected}`)
}

export function integer(min: number, max: number): Check<number> {
  return (value, field) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) fail(field, `an integer from ${min} to ${max}`)
    return value
  }
}

/** An id: a positive safe integer, branded by its use. */
export function id<T extends number>(): Check<T> {
  const check = integer(1, Number.MAX_SAFE_INTEGER)
  return (value, field) => check(value, field) as T
}

/** A text of at most `max` UTF-16 units. */
export function text(max: number): Check<string> {
  return (value, field) => {
    if (typeof value !== 'string' || value.length > max) fail(field, `a text of at most ${max} characters`)
    return value
  }
}

export function matching(pattern: RegExp, what: string): Check<string> {
  return (value, field) => {
    if (typeof value !== 'string' || !pattern.test(value)) fail(field, what)
    return value
  }
}

export function oneOf<const T extends string>(...values: readonly T[]): Check<T> {
  return (value, field) => {
    const found = values.find((one) => one === value)
    return found ?? fail(field, `one of ${values.join(', ')}`)
  }
}

export function list<T>(check: Check<T>, max: number): Check<readonly T[]> {
  return (value, field) => {
    if (!Array.isArray(value) || value.length > max) fail(field, `a list of at most ${max}`)
    return value.map((one: unknown) => check(one, `${field}[]`))
  }
}

/** An object with exactly these fields, each its own; the result is a fresh object. */
export function shape<const F extends Fields>(fields: F): Check<Shape<F>> {
  const names = Object.keys(fields)
  return (value, field) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(field, 'an object')
    const out: Record<string, unknown> = {}
    for (const name of names) {
      if (!Object.hasOwn(value, name)) fail(`${field}.${name}`, 'there')
      out[name] = fields[name]!((value as Record<string, unknown>)[name], `${field}.${name}`)
    }
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(fields, name)) throw new ProtocolError(`unknown field ${field}.${name.slice(0, 40)}`)
    }
    return out as Shape<F>
  }
}
