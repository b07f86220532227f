// Compiled, not run: what a TypeScript user of the ES module form may write under the strictest settings.
import { connect, method, serve, service, struct, text, u32, type View } from 'rpcool'

const Pair = struct('Pair', { left: u32, right: text })
type Pair = View<typeof Pair>
const Echo = service('echo', { hello: method(1, text, text), swap: method(2, Pair, Pair) })

const server = await serve('types/echo', Echo, {
  hello: (name) => `hello ${name.toUpperCase()}`,
  swap: (pair) => ({ left: pair.left + 1, right: pair.right.trim() }),
})
const conn = await connect('types/echo', Echo)
const greeting: string = await conn.hello('x')
const now: string = conn.sync.hello('x')
const pair: Pair = await conn.swap({ left: 1, right: greeting + now })
const left: number = pair.left
export { left }
await conn.close()
await server.close()
