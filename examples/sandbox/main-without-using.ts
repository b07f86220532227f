// The same program without `using`: what was opened is closed in `finally`, the last first.
import { connect, RpcError, serve } from 'rpcool'
import { handlers, Lists, Node } from './service.js'

const server = await serve('demo/lists', Lists, handlers)
try {
  const lists = await connect(server.channel, Lists)
  try {
    const scope = lists.createScope(4096)
    const list = scope.new(Node, { value: 1, next: { value: 2, next: { value: 3, next: null } } })

    console.log('TypeScript:', await lists.sum(list))
    console.log('WebAssembly:', await lists.sumCompiled(list))

    list.next!.next!.next = list
    console.log('endless:', await lists.sumCompiled(list).catch((error: unknown) => (RpcError.is(error) ? error.code : error)))
    scope.destroy()
  } finally {
    // A scope that was not destroyed goes with its connection.
    await lists.close()
  }
} finally {
  await server.close()
}
