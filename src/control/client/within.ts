import { RpcError } from '../../base/errors.js'

/** The promise's outcome, or DEADLINE_EXCEEDED when it takes longer (milliseconds). The promise goes on. */
export async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new RpcError('DEADLINE_EXCEEDED', `no daemon was reached within ${Math.ceil(timeoutMs)} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
