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
