/** What a child's body may do besides its work. */
export interface Control<Ready> {
  /** Tells the starter that the child serves now, and what it needs to know (an address, say). Once. */
  ready(value: Ready): void
  /** Resolves when the starter wants the child to return from its body. */
  readonly finish: Promise<void>
}

/**
 * A function that runs in a process of its own. `Argument`, `Ready` and `Result` cross as JSON. It must be exported from the
 * module that `module` names, under the name `name`: the child imports it there.
 */
export interface Program<Argument, Ready, Result> {
  readonly module: string
  readonly name: string
  readonly body: (argument: Argument, control: Control<Ready>) => Promise<Result>
}

export function program<Argument, Ready = void, Result = void>(
  module: string,
  name: string,
  body: (argument: Argument, control: Control<Ready>) => Promise<Result>,
): Program<Argument, Ready, Result> {
  return { module, name, body }
}
