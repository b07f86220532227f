// The same program without `await using`: what was opened is closed in `finally`, the last first.
import { connect, RpcError, serve } from 'rpcool'
import { handlers, Kitchen } from './service.js'

const codeOf = (error: unknown) => (RpcError.is(error) ? error.code : error)

const server = await serve('demo/kitchen', Kitchen, handlers)
try {
  const kitchen = await connect(server.channel, Kitchen)
  try {
    console.log(await kitchen.cook(10, { timeoutMs: 10_000 }))
    console.log(await kitchen.cook(60_000, { timeoutMs: 50 }).catch(codeOf))

    const controller = new AbortController()
    const cooking = kitchen.cook(60_000, { signal: controller.signal }).catch(codeOf)
    controller.abort()
    console.log(await cooking)
  } finally {
    await kitchen.close()
  }
} finally {
  await server.close()
}
