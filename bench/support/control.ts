import type { Duplex } from 'node:stream'

/**
 * What a child and its starter say to each other: one JSON object per line on descriptor 3, which no library prints to and no
 * measured channel uses.
 */
export type ToChild =
  | { readonly type: 'start'; readonly argument: unknown }
  | { readonly type: 'finish' }

export type FromChild =
  | { readonly type: 'ready'; readonly value: unknown }
  | { readonly type: 'result'; readonly value: unknown }
  | { readonly type: 'error'; readonly text: string }

export const CONTROL_FD = 3

export function sendLine(stream: Duplex, message: ToChild | FromChild): void {
  stream.write(`${JSON.stringify(message)}\n`)
}

/** Calls `onMessage` per line. Both ends are of one build, so a line has the type its reader expects. */
export function readLines<Message extends ToChild | FromChild>(
  stream: Duplex,
  onMessage: (message: Message) => void,
): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onMessage(JSON.parse(line) as Message)
  })
}
