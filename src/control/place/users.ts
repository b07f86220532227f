import { chmodSync, lstatSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { RpcError } from '../../base/errors.js'
import { errnoCode, listenUnix } from '../../sys/index.js'

/*
 * Services of a runtime directory belong to one user, its owner, and serve that user's processes. With others it is so:
 *
 *   - A process of another user says whom it trusts, by RPCOOL_RUNTIME_OWNER: the directory, and every process that answers in it, must be
 *     that user's (lstat, SO_PEERCRED).
 *   - A service serves whom its owner named in RPCOOL_USERS, and programs that the owner's launchers told of, by pid and user (SO_PEERCRED).
 *   - The directory's mode says whether others may knock at all: 0711, and the sockets in it are for everybody. Nobody but the owner may
 *     ever write to it.
 */

type Environment = Readonly<Record<string, string | undefined>>

export const OWNER_VARIABLE = 'RPCOOL_RUNTIME_OWNER'
export const USERS_VARIABLE = 'RPCOOL_USERS'
const USER_MAX = 0xffff_fffe
const FOR_EVERYBODY = 0o666
/** Set by {@link openToOthers} alone: another mode that lets others in was not meant for their connections. */
const FOR_OTHERS_TO_ENTER = 0o711

export function userId(): number {
  return process.geteuid?.() ?? -1
}

/** Whose services this process trusts: its own user's unless RPCOOL_RUNTIME_OWNER names another. Throws INVALID_ARGUMENT. */
export function trustedOwner(env: Environment = process.env): number {
  const chosen = env[OWNER_VARIABLE]
  return chosen === undefined || chosen === '' ? userId() : parseUser(OWNER_VARIABLE, chosen)
}

/** The users besides its own that a service serves, as RPCOOL_USERS names them: numbers, divided by commas. Throws INVALID_ARGUMENT. */
export function namedUsers(env: Environment = process.env): ReadonlySet<number> {
  const text = env[USERS_VARIABLE] ?? ''
  return new Set(text === '' ? [] : text.split(',').map((one) => parseUser(USERS_VARIABLE, one)))
}

/** Whether a number names a user: the kernel takes larger ones for others, or for no change at all. */
export function isUser(user: number): boolean {
  return Number.isInteger(user) && user >= 0 && user <= USER_MAX
}

function parseUser(variable: string, text: string): number {
  const user = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (isUser(user)) return user
  throw new RpcError('INVALID_ARGUMENT', `${variable} names users by number, not ${JSON.stringify(text)}`)
}

/** Lets processes of other users reach the sockets in a directory of this user. Each service still decides whom it serves. */
export function openToOthers(directory: string, sockets: readonly string[]): void {
  chmodSync(directory, FOR_OTHERS_TO_ENTER)
  for (const socket of sockets) {
    try {
      chmodSync(socket, FOR_EVERYBODY)
    } catch (error) {
      // Its service does not run, and will see the directory's mode when it starts.
      if (errnoCode(error) !== 'ENOENT') throw error
    }
  }
}

/** Throws FAILED_PRECONDITION when a user could not reach the directory, for want of the right to enter one of the folders above it. */
export function requireReachable(directory: string, user: number): void {
  for (let folder = directory; ; folder = dirname(folder)) {
    const { mode, uid } = statSync(folder)
    if ((mode & (uid === user ? 0o100 : 0o001)) === 0) {
      throw new RpcError('FAILED_PRECONDITION', `user ${user} cannot enter ${folder}, and with it not the runtime directory ${directory}: choose another one with RPCOOL_RUNTIME_DIR`)
    }
    if (folder === dirname(folder)) return
  }
}

/** A listening descriptor for a service's socket: everybody's to connect to where the directory lets others in. */
export function listenInDirectory(directory: string, socket: string, backlog: number): number {
  const fd = listenUnix(socket, 'packets', backlog)
  if ((lstatSync(directory).mode & 0o777) === FOR_OTHERS_TO_ENTER) chmodSync(socket, FOR_EVERYBODY)
  return fd
}
