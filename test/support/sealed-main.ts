// One end of sealed calls in a process of its own: does what the test tells it by messages.
import { spawnSync } from 'node:child_process'
import { connect, serve, type Connection } from '../../src/index.js'
import { makeAddress } from '../../src/base/numbers.js'
import { Paper, SealedService } from './sealed-service.js'

const [channel] = process.argv.slice(2) as [string]
const waiting: (() => void)[] = []
let conn: Connection<typeof SealedService.methods> | undefined
let address = makeAddress(0x4000, 0)

const outcome = (work: Promise<unknown>): Promise<string> => work.then(String, String)

const commands: Record<string, (argument: unknown) => unknown> = {
  serve: async () => {
    await serve(channel, SealedService, {
      read: ({ value }) => value,
      hold: async (paper) => {
        const before = paper.value
        await new Promise<void>((resolve) => waiting.push(resolve))
        return paper.value === before ? 'the same' : 'changed'
      },
    })
  },
  connect: async () => {
    conn = await connect(channel, SealedService)
    return conn.seals?.strength
  },
  /** Calls hold, with a scope whose address the process keeps, and does not wait. */
  hold: () => {
    const scope = conn!.createScope(4096)
    address = scope.address
    void outcome(conn!.hold(scope.new(Paper, { value: 7, body: 'text' })))
  },
  read: (value) => outcome(conn!.read({ value: Number(value), body: 'text' })),
  address: () => address,
  fork: () => spawnSync('true').status,
  waiting: () => waiting.length,
  go: () => waiting.splice(0).forEach((resolve) => resolve()),
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, command, argument }: { id: number, command: string, argument: unknown }) => {
  void Promise.resolve(commands[command]?.(argument)).then((result) => process.send?.({ id, result: result ?? null }))
})
process.send?.({ id: 0, result: null })
