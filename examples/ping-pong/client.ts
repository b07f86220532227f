// The interface of the RPCool paper (its Figure 6), client's side.
import { Rpc } from 'rpcool'

const PING = 100

// `using` frees the strings, and `await using` closes the connection, where their block ends.
await using connection = await new Rpc().open('demo/ping-pong').connect()
using ping = connection.newString('ping')
using pong = connection.callString(PING, ping)
console.log(`sent ${String(ping)}, received ${String(pong)}`)
