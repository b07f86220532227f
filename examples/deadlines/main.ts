// Deadlines and cancellation. Both ends are in one process here to keep it short; two processes do the same.
import { connect, RpcError, serve } from 'rpcool'
import { handlers, Kitchen } from './service.js'

// Every failure is an RpcError with one of gRPC's sixteen codes.
const codeOf = (error: unknown) => (RpcError.is(error) ? error.code : error)

await using server = await serve('demo/kitchen', Kitchen, handlers)
await using kitchen = await connect(server.channel, Kitchen)

console.log(await kitchen.cook(10, { timeoutMs: 10_000 }))

// A deadline: the call rejects when it has passed, whatever the server does.
console.log(await kitchen.cook(60_000, { timeoutMs: 50 }).catch(codeOf))

// Cancellation, with the AbortSignal that fetch() takes too.
const controller = new AbortController()
const cooking = kitchen.cook(60_000, { signal: controller.signal }).catch(codeOf)
controller.abort()
console.log(await cooking)
