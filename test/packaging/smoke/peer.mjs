// A server that lives until it is killed or its standard input ends.
import * as rpcool from 'rpcool'
import { definitions } from './definitions.mjs'

const { Echo, handlers } = definitions(rpcool)
const server = await rpcool.serve(process.argv[2], Echo, handlers)
process.stdout.write('ready\n')
for await (const _ of process.stdin);
await server.close()
