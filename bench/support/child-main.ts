import { Socket } from 'node:net'
import { CONTROL_FD, readLines, sendLine, type ToChild } from './control.js'
import { Deferred } from './deferred.js'
import type { Control, Program } from './program.js'

/** The first code of every child: `node child-main.js MODULE NAME` runs the Program that MODULE exports as NAME. */
const [, , moduleUrl = '', name = ''] = process.argv
const stream = new Socket({ fd: CONTROL_FD, readable: true, writable: true })
const start = new Deferred<unknown>()
const finish = new Deferred<void>()
let done = false

readLines<ToChild>(stream, (message) => {
  if (message.type === 'start') start.resolve(message.argument)
  else finish.resolve()
})
stream.on('error', () => undefined); // 'close' follows
stream.on('close', () => {
  if (!done) process.exit(1); // the starter is gone: nobody waits for an answer
})

const control: Control<unknown> = {
  ready(value) {
    sendLine(stream, { type: 'ready', value })
  },
  finish: finish.promise,
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

try {
  const exported: unknown = (await import(moduleUrl) as Record<string, unknown>)[name]
  const value = await (exported as Program<unknown, unknown, unknown>).body(await start.promise, control)
  sendLine(stream, { type: 'result', value })
} catch (error) {
  sendLine(stream, { type: 'error', text: describe(error) })
  process.exitCode = 1
}
done = true
// A body may leave handles behind that would keep the process; it has said its last word.
stream.end(() => process.exit())
