// A server of the plain interface.
import { Rpc, RpcError, u32 } from '../../src/index.js'

const rpc = new Rpc().open(process.argv[2]!)
  .add(100, (connection, argument) => connection.newString(`pong to ${String(argument)}`))
  .add(101, u32, u32, (_, value) => {
    if (value === 13) throw new RpcError('UNKNOWN', 'unlucky')
    return value * 2
  })
process.on('disconnect', () => process.exit(0))
const first = rpc.accept()
process.send?.({ id: 0, result: null })
await first
