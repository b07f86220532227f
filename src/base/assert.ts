/** Our own mistake: never caught, never recovered from. For a user's or peer's mistake throw an RpcError instead. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** The message is made each time, also when all is well: where that counts, it is a constant. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(`rpcool: ${message}`)
}

export function unreachable(value: never): never {
  throw new AssertionError(`rpcool: unexpected value ${String(value)}`)
}
