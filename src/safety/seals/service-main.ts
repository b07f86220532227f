import { RpcError } from '../../base/errors.js'
import { runtimeDirectory } from '../../control/place/runtime-directory.js'

/** How long a service outlives its last user, unless RPCOOL_DAEMON_IDLE_MS says otherwise. */
const DEFAULT_IDLE_MS = 2000
/** The directory or the socket is unfit. */
const EXIT_UNFIT = 3

/** Runs a service in this process until it ends by itself, or by a signal. A start that another one won ends at once. */
export async function runService(name: string, start: (directory: string, idleMs: number, onEnd: () => void) => Promise<{ stop(): void } | undefined>): Promise<void> {
  const wanted = Number(process.env['RPCOOL_DAEMON_IDLE_MS'] ?? DEFAULT_IDLE_MS)
  const idleMs = Number.isFinite(wanted) && wanted >= 0 ? Math.min(wanted, 2 ** 31 - 1) : DEFAULT_IDLE_MS
  try {
    const service = await start(runtimeDirectory(), idleMs, () => process.exit(0))
    if (service === undefined) process.exit(0)
    process.title = `rpcool-${name}`
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => service.stop())
    process.on('SIGHUP', () => undefined)
  } catch (error) {
    process.stderr.write(`rpcool ${name}: ${RpcError.is(error) ? error.message : String(error)}\n`)
    process.exit(EXIT_UNFIT)
  }
}
