import { namedUsers } from '../../../control/place/users.js'
import { Sealer } from './sealer.js'
import { runService } from '../service-main.js'

// The sealer's process. Started by the first participant that seals.

/** Set to "all" for a sealer that belongs to the system: processes of every user may attach. */
export const USERS_VARIABLE = 'RPCOOL_SEALER_USERS'

await runService('sealer', (directory, idleMs, onEnd) =>
  Sealer.start({ directory, idleMs, onEnd, users: namedUsers(), allUsers: process.env[USERS_VARIABLE] === 'all' }))
