// Deadlines and cancellation. Both ends are in one process here to keep it to one file; two processes do the same.
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, method, RpcError, serve, service, text, u32 } from 'rpcool'

const Kitchen = service('kitchen', {
  /** Cooks for so many milliseconds. */
  cook: method(1, u32, text),
})

await using server = await serve('demo/kitchen', Kitchen, {
  // `call.signal` aborts when the client cancels, gives up or dies: no work for nobody.
  cook: async (milliseconds, call) => {
    await sleep(milliseconds, undefined, { signal: call.signal })
    return 'dinner is ready'
  },
})
await using kitchen = await connect(server.channel, Kitchen)

console.log(await kitchen.cook(10, { timeoutMs: 10_000 }))

// A deadline: the call rejects when it has passed, whatever the server does.
console.log(await outcome(kitchen.cook(60_000, { timeoutMs: 50 })))

// Cancellation, with the AbortSignal that fetch() takes too.
const controller = new AbortController()
const cooking = outcome(kitchen.cook(60_000, { signal: controller.signal }))
controller.abort()
console.log(await cooking)

/** Every failure is an RpcError with one of gRPC's sixteen codes. */
async function outcome(call: Promise<string>): Promise<string> {
  try {
    return await call
  } catch (error) {
    if (RpcError.is(error)) return error.code
    throw error
  }
}
