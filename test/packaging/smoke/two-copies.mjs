// Loads two copies of the library in one process and calls across them. Prints how it went as one line of JSON.
//   node two-copies.mjs esm+cjs | node two-copies.mjs <folder of another copy of the package>
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { definitions } from './definitions.mjs'

const [other] = process.argv.slice(2)
try {
  const first = await import('rpcool')
  const second = other === 'esm+cjs'
    ? createRequire(import.meta.url)('rpcool')
    : await import(pathToFileURL(`${other}/dist/esm/index.js`).href)
  if (first.serve === second.serve) throw new Error('the same copy was loaded twice: this tests nothing')
  const { Echo, handlers } = definitions(first)
  const server = await first.serve('smoke/copies', Echo, handlers)
  const conn = await second.connect('smoke/copies', definitions(second).Echo)
  const answer = await conn.hello('x')
  await conn.close()
  await server.close()
  console.log(JSON.stringify({ works: answer === 'hello x', error: `the answer was ${answer}` }))
} catch (error) {
  console.log(JSON.stringify({ works: false, error: String(error?.message ?? error), stack: String(error?.stack) }))
}
process.exit(0)
