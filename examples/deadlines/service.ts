// What is served, for both forms of the program.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Handlers, method, service, text, u32 } from 'rpcool'

export const Kitchen = service('kitchen', {
  /** Cooks for so many milliseconds. */
  cook: method(1, u32, text),
})

export const handlers: Handlers<typeof Kitchen.methods> = {
  // `call.signal` aborts when the client cancels, gives up or dies: no work for nobody.
  cook: async (milliseconds, call) => {
    await sleep(milliseconds, undefined, { signal: call.signal })
    return 'dinner is ready'
  },
}
