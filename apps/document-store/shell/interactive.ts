// The interactive shell: a line, a command.
import { createInterface } from 'node:readline/promises'
import { RpcError } from 'rpcool'
import type { StoreClient } from '../client.js'
import { commandList, runCommand } from './commands.js'
import { complete } from './complete.js'
import { ImportError } from './import.js'
import { CommandError } from './words.js'

/** Reads commands until the end of the input, or `exit`; answers whether all of them made sense. */
export async function runShell(client: StoreClient): Promise<boolean> {
  const terminal = createInterface({
    input: process.stdin, output: process.stdout, prompt: 'store> ', terminal: process.stdin.isTTY,
    completer: (line: string) => complete(client, line),
  })
  const closed = client.closed.then((reason) => {
    if (reason !== undefined) process.stderr.write(`\n${reason.message}\n`)
    terminal.close()
  })
  process.stdout.write(`${client.mode} store; "help" lists the commands, Tab completes, Ctrl-D ends\n`)
  let isFine = true
  terminal.prompt()
  for await (const line of terminal) {
    if (line.trim() === 'exit' || line.trim() === 'quit') break
    if (!await carryOut(client, line.trim())) isFine = false
    terminal.prompt()
  }
  terminal.close()
  await Promise.race([closed, Promise.resolve()])
  return isFine
}

async function carryOut(client: StoreClient, line: string): Promise<boolean> {
  if (line === '') return true
  if (line === 'help') {
    process.stdout.write(`${commandList()}\n  exit\n`)
    return true
  }
  try {
    await runCommand(client, line, (text) => process.stdout.write(`${text}\n`))
    return true
  } catch (error) {
    if (!isExpected(error)) throw error
    process.stdout.write(`${error.message}\n`)
    return false
  }
}

/** What a user, a file or the store may have done: told in a sentence, without a stack. */
export function isExpected(error: unknown): error is Error {
  return error instanceof CommandError || error instanceof ImportError || error instanceof RangeError || RpcError.is(error) ||
    (error instanceof Error && 'syscall' in error)
}
