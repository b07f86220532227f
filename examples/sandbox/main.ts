// Code that follows shared pointers, and can reach one range of memory and nothing else: in TypeScript, and compiled to WebAssembly.
import { connect, method, ref, RpcError, serve, service, struct, u32, WasmHandlers } from 'rpcool'
import { walk } from './walk.js'

const Node = struct('Node', { value: u32, get next() { return ref(Node) } })
const Lists = service('lists', { sum: method(1, Node, u32), sumCompiled: method(2, Node, u32) })

// Prepared on loading, which needs the package binaryen: loops count their steps, so that none is endless.
const handlers = await WasmHandlers.load(walk, { steps: 1_000_000 })

await using server = await serve('demo/lists', Lists, {
  // `call.scope` is where the client says its argument lies; variables are copied in.
  sum: (list, call) => call.sandbox.run(call.scope ?? list, { limit: 1000 }, (inside, { limit }) => {
    let sum = 0
    let node: typeof list | null = inside.view(list)
    for (let i = 0; node !== null && i < limit; i++, node = node.next) sum += node.value
    return sum
  }),
  sumCompiled: (list, call) => Number(call.sandbox.runWasm(handlers, call.scope ?? list, 'sum', list)),
})
await using lists = await connect(server.channel, Lists)
using scope = lists.createScope(4096)
const list = scope.new(Node, { value: 1, next: { value: 2, next: { value: 3, next: null } } })

console.log('TypeScript:', await lists.sum(list))
console.log('WebAssembly:', await lists.sumCompiled(list))

// A list that bites its own tail.
list.next!.next!.next = list
console.log('endless:', await outcome(lists.sumCompiled(list)))

/** What a server's clients meet: an error of their call, while the server goes on. */
async function outcome(call: Promise<number>): Promise<string> {
  try {
    return `the answer ${await call}`
  } catch (error) {
    if (RpcError.is(error)) return error.code
    throw error
  }
}
