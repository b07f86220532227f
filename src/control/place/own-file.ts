import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'

/**
 * The bytes of a file that this user made for itself alone. Undefined when there is none, and for anything that somebody else may have put
 * there while the folder was open to others: a link, a pipe, a file that others can read or write.
 */
export function readOwnFile(path: string): Buffer | undefined {
  let fd: number
  try {
    // A pipe would be waited for.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
  try {
    const stat = fstatSync(fd)
    return stat.isFile() && (stat.mode & 0o777) === 0o600 && stat.uid === process.geteuid?.() ? readFileSync(fd) : undefined
  } catch {
    return undefined
  } finally {
    closeSync(fd)
  }
}
