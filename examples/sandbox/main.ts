// Code that follows shared pointers, and can reach one range of memory and nothing else: in TypeScript, and compiled to WebAssembly. The code is in
// service.ts and walk.ts; this calls it.
import { connect, RpcError, serve } from 'rpcool'
import { handlers, Lists, Node } from './service.js'

await using server = await serve('demo/lists', Lists, handlers)
await using lists = await connect(server.channel, Lists)
using scope = lists.createScope(4096)
const list = scope.new(Node, { value: 1, next: { value: 2, next: { value: 3, next: null } } })

console.log('TypeScript:', await lists.sum(list))
console.log('WebAssembly:', await lists.sumCompiled(list))

// A list that bites its own tail. Its client meets an error of this call, while the server goes on.
list.next!.next!.next = list
console.log('endless:', await lists.sumCompiled(list).catch((error: unknown) => (RpcError.is(error) ? error.code : error)))
