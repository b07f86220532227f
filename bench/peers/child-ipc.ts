import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { pinnedCommand } from '../support/cpus.js'
import { endWithUs } from '../support/living.js'
import { PendingCalls } from './pending.js'
import type { OwnedPeer } from './peer.js'

/** A no-op is the bare call id, both ways. */
export type Request = number | { readonly id: number; readonly key: string }
export type Answer =
  | 'ready'
  | number
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }

export const childIpc: OwnedPeer = {
  kind: 'owned',
  name: 'child_ipc',
  about: 'child_process.fork and its ipc channel, JSON serialization, a number each way',

  async start(handlerModule, cpu) {
    const main = fileURLToPath(new URL('child-ipc-main.js', import.meta.url))
    const [execPath, execArgv] = pinnedCommand(cpu, [process.execPath])
    const child = fork(main, [handlerModule], {
      execPath,
      execArgv,
      serialization: 'json', // the default; measured beside 'advanced': not slower for small messages
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    endWithUs(child)
    const pending = new PendingCalls()
    const exited = once(child, 'exit').then(() => {
      pending.rejectAll(new Error('the child ended'))
    })
    await Promise.race([
      once(child, 'message'),
      exited.then(() => {
        throw new Error('the child of child_ipc ended before it was ready')
      }),
    ])
    child.on('message', (answer: Answer) => {
      if (typeof answer === 'number') pending.resolve(answer, undefined)
      else if (typeof answer === 'string') return
      else if ('error' in answer) pending.reject(answer.id, new Error(answer.error))
      else pending.resolve(answer.id, answer.value)
    })
    return {
      serverPid: child.pid ?? -1,
      async noop() {
        const { id, answer } = pending.begin()
        child.send(id)
        await answer
      },
      lookup(key: string) {
        const { id, answer } = pending.begin()
        child.send({ id, key })
        return answer
      },
      async [Symbol.asyncDispose]() {
        if (child.connected) child.disconnect()
        await exited
      },
    }
  },
}
