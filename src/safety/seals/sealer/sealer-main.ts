import { namedUsers } from '../../../control/place/users.js'
import { Sealer } from './sealer.js'
import { runService } from '../service-main.js'

// The sealer's process. Started by the first participant that seals.

export const PROCESS_NAME = 'sealer'

await runService(PROCESS_NAME, (directory, idleMs, onEnd) => Sealer.start({ directory, idleMs, onEnd, users: namedUsers() }))
