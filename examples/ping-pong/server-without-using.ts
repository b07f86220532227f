// The same server without `await using`.
import { Rpc } from 'rpcool'

const PING = 100

const rpc = new Rpc().open('demo/ping-pong')
try {
  rpc.add(PING, (connection, message) => {
    console.log(`received ${String(message)}`)
    return connection.newString('pong')
  })
  const connection = await rpc.accept()
  await connection.listen()
  console.log('the client has gone')
} finally {
  await rpc.close()
}
