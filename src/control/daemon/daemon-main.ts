import { RpcError } from '../../base/errors.js'
import { Daemon } from './daemon.js'
import { runtimeDirectory } from '../place/runtime-directory.js'

// The daemon's process. Started by the first participant, ends by itself; a start that another one won ends at once.

/** How long the daemon outlives its last participant, unless RPCOOL_DAEMON_IDLE_MS says otherwise. */
const DEFAULT_IDLE_MS = 2000

export type ExitCode = 0 | 3
/** The directory or the socket is unfit; RPCOOL_DEBUG=daemon in the directory's log says more. */
const EXIT_UNFIT: ExitCode = 3

function main(): void {
  const wanted = Number(process.env['RPCOOL_DAEMON_IDLE_MS'] ?? DEFAULT_IDLE_MS)
  const idleMs = Number.isFinite(wanted) && wanted >= 0 ? Math.min(wanted, 2 ** 31 - 1) : DEFAULT_IDLE_MS
  const debug = (process.env['RPCOOL_DEBUG'] ?? '').split(',').includes('daemon')
  try {
    const daemon = Daemon.start({ directory: runtimeDirectory(), idleMs, debug, onEnd: () => process.exit(0) })
    if (daemon === undefined) process.exit(0)
    process.title = 'rpcool-daemon'
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => daemon.stop(signal))
    process.on('SIGHUP', () => undefined)
  } catch (error) {
    process.stderr.write(`rpcool daemon: ${RpcError.is(error) ? error.message : String(error)}\n`)
    process.exit(EXIT_UNFIT)
  }
}

main()
