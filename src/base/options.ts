import { RpcError } from './errors.js'

/** The names of an interface's options: the compiler tells when one is missing here. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>

/**
 * Refuses options that do not exist: a misspelt one would be without effect, and be missed where it matters.
 * @param what whose options they are, as the subject of a sentence
 */
export function requireOptions<Options extends object>(what: string, options: Options, names: OptionNames<Options>): void {
  if (typeof options !== 'object' || (options as unknown) === null) throw new RpcError('INVALID_ARGUMENT', `${what} takes its options as an object, not ${options === null ? 'null' : typeof options}`)
  for (const name in options) {
    if (names[name] !== true) throw new RpcError('INVALID_ARGUMENT', `${what} has no option "${name}"; there are ${Object.keys(names).join(', ')}`)
  }
}

/** Refuses what is given for an option and is no number in a range: it would be rounded, capped or ignored somewhere, or be an error of another's words. */
export function requireNumber(name: string, value: number | undefined, least: number, most = Infinity): void {
  if (value === undefined || (typeof value === 'number' && value >= least && value <= most)) return
  throw new RpcError('INVALID_ARGUMENT', `${name} must be a number from ${least} ${most === Infinity ? 'on' : `to ${most}`}, not ${String(value)}`)
}

/** Refuses limits that do not exist, and what is none: a misspelt limit, or one of NaN, is never reached. */
export function requireLimits<Limits extends object>(what: string, limits: Limits, names: OptionNames<Limits>): void {
  requireOptions(what, limits, names)
  for (const name in names) requireNumber(name, limits[name] as number | undefined, 0)
}

/** Refuses what is given for an option and is neither true nor false: another value would switch off what its caller counts on. */
export function requireFlag(name: string, value: boolean | undefined): void {
  if (value !== undefined && typeof value !== 'boolean') throw new RpcError('INVALID_ARGUMENT', `${name} must be true or false, not ${String(value)}`)
}

export function requireFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw new RpcError('INVALID_ARGUMENT', `${name} must be a function, not ${value === null ? 'null' : typeof value}`)
}
