// Connects to the channels it is told, and tells what came of it.
import { connect, RpcError } from '../../src/index.js'
import { Everything } from './everything.js'

async function join(channel: string): Promise<string> {
  try {
    await using conn = await connect(channel, Everything)
    return `answered ${await conn.number(42)}`
  } catch (error) {
    if (!RpcError.is(error)) throw error
    return error.message
  }
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, argument }: { id: number, argument: string }) => void join(argument).then((result) => process.send?.({ id, result })))
process.send?.({ id: 0, result: null })
