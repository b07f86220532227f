// The same client without `using`: close and free by hand. What is forgotten goes when the connection or the process ends.
import { Rpc } from 'rpcool'

const PING = 100

const connection = await new Rpc().open('demo/ping-pong').connect()
try {
  const ping = connection.newString('ping')
  const pong = connection.callString(PING, ping)
  console.log(`sent ${String(ping)}, received ${String(pong)}`)
  pong[Symbol.dispose]()
  ping[Symbol.dispose]()
} finally {
  await connection.close()
}
