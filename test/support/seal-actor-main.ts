// One end of a sealed heap in a process of its own, so that it can be killed. It does what it is told to.
import { spawn } from 'node:child_process'
import { PAGE_BYTES } from '../../src/base/numbers.js'
import { RpcError } from '../../src/base/errors.js'
import { runtimeDirectory } from '../../src/control/index.js'
import { connectOrStart } from '../../src/control/place/launch.js'
import { sealNow, type SealAuthority } from '../../src/safety/seals/authority.js'
import { SealClient, type Receiving } from '../../src/safety/seals/seal-client.js'
import { SEALER } from '../../src/safety/seals/sealer/sealer-service.js'
import { PlainHeap, type HeapOfTest } from './plain-heap.js'
import { writable } from './writable.js'

let link = -1
const client = new SealClient(async (remainingMs) => (link = await connectOrStart(runtimeDirectory(), remainingMs, SEALER)))
let heap: PlainHeap | undefined
let authority: SealAuthority | undefined
let receiving: Receiving | undefined

const commands: Readonly<Record<string, (argument: never) => unknown>> = {
  async send(of: HeapOfTest) {
    heap = PlainHeap.join(of)
    authority = await client.attachSender({ token: of.token, address: heap.mapping.address, byteLength: heap.byteLength, descriptors: 64 })
  },
  async receive(of: HeapOfTest) {
    heap = PlainHeap.join(of)
    receiving = await client.attachReceiver({ token: of.token, address: heap.mapping.address, byteLength: heap.byteLength, file: heap.file })
  },
  /** Another process has the link to the sealer, too, and lives for a while. */
  share() {
    const holder = spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', link], detached: true })
    holder.unref()
    return holder.pid
  },
  write(value: number) {
    new Uint8Array(heap!.mapping.buffer).fill(value)
  },
  seal(page: number) {
    return sealNow(authority!, [{ address: heap!.mapping.address + page * PAGE_BYTES, byteLength: PAGE_BYTES }])[0]
  },
  verify({ index, page }: { index: number, page: number }) {
    return receiving!.verifier.verify(index, page, 1)
  },
  held(index: number) {
    return receiving!.verifier.held(index)
  },
  writable(page: number) {
    return writable(heap!.mapping.address + page * PAGE_BYTES)
  },
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, command, argument }: { id: number, command: string, argument: never }) => {
  Promise.resolve().then(() => commands[command]!(argument)).then(
    (result) => process.send?.({ id, result: result ?? null }),
    (error: unknown) => process.send?.({ id, result: `error: ${RpcError.is(error) ? error.message : String(error)}` }))
})
process.send?.({ id: 0, result: null })
