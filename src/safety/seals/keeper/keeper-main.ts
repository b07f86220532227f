import { Keeper } from './keeper.js'
import { runService } from '../service-main.js'

// The keeper's process. Started by the sealer.

export const PROCESS_NAME = 'keeper'

await runService(PROCESS_NAME, (directory, idleMs, onEnd) => Promise.resolve(Keeper.start({ directory, idleMs, onEnd })))
