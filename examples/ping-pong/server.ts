// The interface of the RPCool paper (its Figure 6), server's side. Start this first, then client.js.
import { Rpc } from 'rpcool'

const PING = 100

await using rpc = new Rpc()
rpc.open('demo/ping-pong')

// A function has a number. Its argument is a string in the connection's shared heap, and so is its answer:
// what travels between the processes is a pointer.
rpc.add(PING, (connection, message) => {
  console.log(`received ${String(message)}`)
  return connection.newString('pong')
})

// One client after the other would be a loop around this.
const connection = await rpc.accept()
await connection.listen()
console.log('the client has gone')
