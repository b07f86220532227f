/** A wait that did not end. The message says what was waited for. */
export class WatchdogError extends Error {
  override readonly name = 'WatchdogError'
}

/** Settles as `promise` does, or rejects with {@link WatchdogError} after `ms`. It stops hangs; it judges no speed. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const alarm = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new WatchdogError(`waited ${String(ms / 1000)} s for ${what}`))
    }, ms)
  })
  try {
    return await Promise.race([promise, alarm])
  } finally {
    clearTimeout(timer)
  }
}
