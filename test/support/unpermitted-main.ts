// Both ends of sealed calls in a process that may not use userfaultfd: prints what becomes of each kind of method.
import { writeSync } from 'node:fs'
import { connect, method, serve, service, type ServerCall, text, type View } from '../../src/index.js'
import { Paper } from './sealed-service.js'

const Mixed = service('mixed', {
  seal: method(1, Paper, text, { isolation: 'seal' }),
  auto: method(2, Paper, text, { isolation: 'auto' }),
  snapshot: method(3, Paper, text, { isolation: 'snapshot' }),
})
const told = (_paper: View<typeof Paper>, call: ServerCall): string => call.isolation
const server = await serve('unpermitted', Mixed, { seal: told, auto: told, snapshot: told })
const conn = await connect(server.channel, Mixed)
const outcome = (work: Promise<string>): Promise<string> => work.catch(String)
const value = { value: 1, body: 'text' }
const said = [conn.seals?.strength ?? 'undefined', await outcome(conn.seal(value)), await outcome(conn.auto(value)), await outcome(conn.snapshot(value))]
writeSync(1, JSON.stringify(said))
await conn.close()
await server.close()
process.exit(0)
