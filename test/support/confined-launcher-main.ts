// Launches a program confined, on its own standard streams, and says by which descriptor its heap can be joined.
import type { Address } from '../../src/base/numbers.js'
import { launchConfined } from '../../src/safety/seals/confined/launcher.js'
import { SealClient } from '../../src/safety/seals/seal-client.js'

const [user = '', address = '', heapBytes = '', program = '', ...args] = process.argv.slice(2)
const client = SealClient.ofDirectory()
const { pid, heapFile } = await launchConfined(client, {
  program, args, environment: process.env, heapBytes: Number(heapBytes), address: Number(address) as Address,
  ...(Number(user) < 0 ? {} : { user: Number(user) }),
})
process.on('disconnect', () => process.exit(0))
process.on('exit', () => {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
})
process.send?.({ pid, heapFile })
