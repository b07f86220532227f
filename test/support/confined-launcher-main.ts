// Launches a program confined, on its own standard streams, and says by which descriptor its heap can be joined.
import type { Address } from '../../src/base/numbers.js'
import { launchConfined } from '../../src/safety/seals/confined/launcher.js'
import { SealClient } from '../../src/safety/seals/seal-client.js'
import { createMemoryFile } from '../../src/sys/index.js'

const [user = '', address = '', heapBytes = '', program = '', ...args] = process.argv.slice(2)
const client = SealClient.ofDirectory()
const heapFile = createMemoryFile('prepared', Number(heapBytes), true)
const pid = await launchConfined(client, {
  program, args, environment: process.env, heaps: [{ address: Number(address) as Address, byteLength: Number(heapBytes), file: heapFile }],
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
