// Compiled, not run: the same for a CommonJS user.
import rpcool = require('rpcool')

const { connect, method, serve, service, text } = rpcool
const Echo = service('echo', { hello: method(1, text, text) })

async function main(): Promise<string> {
  const server = await serve('types/echo', Echo, { hello: (name) => `hello ${name.toUpperCase()}` })
  const conn = await connect('types/echo', Echo)
  const greeting: string = await conn.hello('x')
  await conn.close()
  await server.close()
  return greeting
}

export = main
