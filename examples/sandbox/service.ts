// What is served, for both forms of the program.
import { type Handlers, method, ref, service, struct, u32, WasmHandlers } from 'rpcool'
import { walk } from './walk.js'

export const Node = struct('Node', { value: u32, get next() { return ref(Node) } })
export const Lists = service('lists', { sum: method(1, Node, u32), sumCompiled: method(2, Node, u32) })

// Prepared on loading, which needs the package binaryen: loops count their steps, so that none is endless.
const compiled = await WasmHandlers.load(walk, { steps: 1_000_000 })

export const handlers: Handlers<typeof Lists.methods> = {
  // `call.scope` is where the client says its argument lies; variables are copied in.
  sum: (list, call) => call.sandbox.run(call.scope ?? list, { limit: 1000 }, (inside, { limit }) => {
    let sum = 0
    let node: typeof list | null = inside.view(list)
    for (let i = 0; node !== null && i < limit; i++, node = node.next) sum += node.value
    return sum
  }),
  sumCompiled: (list, call) => Number(call.sandbox.runWasm(compiled, call.scope ?? list, 'sum', list)),
}
