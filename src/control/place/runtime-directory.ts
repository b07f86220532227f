import { lstatSync, mkdirSync, unlinkSync, type Stats } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { RpcError } from '../../base/errors.js'
import { trustedOwner, userId } from './users.js'

/** Bytes of a Unix socket's path without the NUL that ends it. Source: unix(7), sun_path. */
const SOCKET_PATH_MAX = 107

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Where the daemon lives: RPCOOL_RUNTIME_DIR, else a folder in XDG_RUNTIME_DIR when that is this user's, else in /tmp. Of another user, whom
 * RPCOOL_RUNTIME_OWNER names, only the first and the last.
 */
export function runtimeDirectory(env: Environment = process.env): string {
  const chosen = env['RPCOOL_RUNTIME_DIR']
  if (chosen !== undefined && chosen !== '') {
    if (isAbsolute(chosen)) return resolve(chosen)
    throw new RpcError('INVALID_ARGUMENT', `RPCOOL_RUNTIME_DIR must be an absolute path, not "${chosen}": processes in other folders would not meet`)
  }
  const owner = trustedOwner(env)
  const session = env['XDG_RUNTIME_DIR']
  if (owner === userId() && session !== undefined && session !== '' && isOwnFolder(session)) return join(resolve(session), 'rpcool')
  return `/tmp/rpcool-${owner}`
}

function isOwnFolder(path: string): boolean {
  // An environment kept over a change of the user names somebody else's folder.
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found !== undefined && found.isDirectory() && found.uid === userId()
}

/**
 * Makes the folder, for the user alone, when it is not there, and refuses one that anybody but its owner could put sockets into.
 * Throws FAILED_PRECONDITION that says what to do.
 * @param owner whose it must be: another user's is never made here.
 */
export function openRuntimeDirectory(directory: string, owner = userId()): void {
  const advice = 'choose another one with RPCOOL_RUNTIME_DIR'
  try {
    if (owner === userId()) makeFolder(directory)
  } catch (cause) {
    throw new RpcError('FAILED_PRECONDITION', `the runtime directory ${directory} cannot be made (${String(cause)}); ${advice}`, { cause })
  }
  const found = lookAt(directory)
  const wrong =
    found === undefined ? `is not there, or cannot be reached: user ${owner}, whom RPCOOL_RUNTIME_OWNER names, makes it`
    : !found.isDirectory() ? 'is not a directory'
    : found.uid !== owner ? `belongs to user ${found.uid}, not to user ${owner}; RPCOOL_RUNTIME_OWNER says whom this process trusts besides its own user`
    : (found.mode & 0o022) !== 0 ? `can be written by others (mode ${(found.mode & 0o777).toString(8)}; chmod 700 it)`
    : undefined
  if (wrong !== undefined) throw new RpcError('FAILED_PRECONDITION', `the runtime directory ${directory} ${wrong}; ${advice}`)
  const socket = daemonSocket(directory)
  if (Buffer.byteLength(socket) > SOCKET_PATH_MAX) {
    throw new RpcError('FAILED_PRECONDITION', `${socket} is longer than the ${SOCKET_PATH_MAX} bytes that the path of a socket may have; ${advice}`)
  }
}

/** Undefined also for what this user may not see. */
function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

/** Node's own recursive form never returns where the system refuses to make a folder in one that exists, as in /proc. */
function makeFolder(path: string): void {
  const parent = dirname(path)
  if (parent !== path && lstatSync(parent, { throwIfNoEntry: false }) === undefined) makeFolder(parent)
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) throw error
  }
}

export function daemonSocket(directory: string): string {
  return join(directory, 'daemon.sock')
}

export function daemonLock(directory: string): string {
  return join(directory, 'daemon.lock')
}

/** Whoever comes now finds nobody: a service that starts, or ends. Also what one that was killed left behind. */
export function removeSocket(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It is not there, which is what was wanted.
  }
}

/** Where the trusted process listens that seals. */
export function sealerSocket(directory: string): string {
  return join(directory, 'sealer.sock')
}

export function sealerLock(directory: string): string {
  return join(directory, 'sealer.lock')
}

export function sealerStarterLock(directory: string): string {
  return join(directory, 'sealer.start')
}

/** Where the process listens that holds the sealer's descriptors across its death. */
export function keeperSocket(directory: string): string {
  return join(directory, 'keeper.sock')
}

export function keeperLock(directory: string): string {
  return join(directory, 'keeper.lock')
}

export function keeperStarterLock(directory: string): string {
  return join(directory, 'keeper.start')
}

/** Locked by the one that is starting a daemon, so that a hundred participants do not start a hundred. */
export function starterLock(directory: string): string {
  return join(directory, 'daemon.start')
}

/** The last 4 GiB slot of the address window that a daemon of this folder used. */
export function daemonSlot(directory: string): string {
  return join(directory, 'daemon.slot')
}

/** By which a daemon recognises what a daemon before it gave out. */
export function daemonKey(directory: string): string {
  return join(directory, 'daemon.key')
}

/** What a daemon has given out, for the one after it. */
export function daemonBook(directory: string): string {
  return join(directory, 'daemon.book')
}

export function daemonLog(directory: string): string {
  return join(directory, 'daemon.log')
}
