// What every script shares: the root, terse messages on stderr, and errors that end a script without a stack.
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** A mistake of the user or of the machine: the message says what to do, a stack would only hide it. */
export class SetupError extends Error {}

/** Progress goes to stderr, so that stdout carries only what was asked for (`bench --json`). */
export function say(message) {
  process.stderr.write(`${message}\n`)
}

/** Runs a script's main function; a SetupError ends it with its message alone. */
export async function main(run) {
  try {
    process.exitCode = (await run()) ?? 0
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    say(error.message)
    process.exitCode = 1
  }
}

/** True when the module is the program that node was started with. */
export function isMain(importMetaUrl) {
  return process.argv[1] !== undefined && fileURLToPath(importMetaUrl) === realpathSync(process.argv[1])
}
