// A client that has its server copy as much as it can, all the time. Arguments: channel, milliseconds.
import { connect, RpcError } from '../../src/index.js'
import { Isolated, makeShaky } from './isolated-service.js'

const [channel = '', ms = '1000'] = process.argv.slice(2)
const RAW_BYTES = 256 << 10
const IN_FLIGHT = 60

async function flood(): Promise<{ readonly answers: number, readonly exhausted: number, readonly unexpected: readonly string[] }> {
  const conn = await connect(channel, Isolated, { heapBytes: 64 << 20 })
  const argument = { ...makeShaky(1), raw: new Uint8Array(RAW_BYTES) }
  const end = performance.now() + Number(ms)
  let [answers, exhausted] = [0, 0]
  const unexpected: string[] = []
  const one = async (): Promise<void> => {
    while (performance.now() < end) {
      try {
        await conn.later(argument as never)
        answers++
      } catch (error) {
        if (RpcError.is(error) && error.code === 'RESOURCE_EXHAUSTED') exhausted++
        else unexpected.push(String(error))
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, one))
  await conn.close()
  return { answers, exhausted, unexpected: unexpected.slice(0, 5) }
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id }: { readonly id: number }) => void flood().then((result) => process.send?.({ id, result })))
process.send?.({ id: 0, result: null })
