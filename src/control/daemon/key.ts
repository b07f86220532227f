import { createHmac, randomBytes } from 'node:crypto'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { readOwnFile } from '../place/own-file.js'
import { daemonKey } from '../place/runtime-directory.js'

const KEY_BYTES = 32
/** Hexadecimal digits of a signature: 128 bits. */
const SIGNATURE_DIGITS = 32

/**
 * The key of a runtime directory, which only its owner can read. The first daemon makes it, and those that come after find it: so they
 * recognise what they never gave out. Called under the daemon's lock. Throws the file system's error when it cannot be kept.
 */
export function openDaemonKey(directory: string): Buffer {
  const path = daemonKey(directory)
  const known = readOwnFile(path)
  if (known?.length === KEY_BYTES) return known
  const key = randomBytes(KEY_BYTES)
  // Whole or not at all: a daemon that dies in between leaves no half of one.
  rmSync(`${path}.new`, { force: true })
  writeFileSync(`${path}.new`, key, { mode: 0o600 })
  renameSync(`${path}.new`, path)
  return key
}

/** What nobody without the key can tell beforehand: HMAC-SHA-256, cut to 128 bits. */
export function signWith(key: Buffer): (text: string) => string {
  return (text) => createHmac('sha256', key).update(text).digest('hex').slice(0, SIGNATURE_DIGITS)
}
