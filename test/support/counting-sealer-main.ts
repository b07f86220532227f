// A sealer that counts its calls of the kernel: those that protect pages, and those that lift that.
import { runtimeDirectory } from '../../src/control/index.js'
import { Sealer } from '../../src/safety/seals/sealer/sealer.js'
import { addon } from '../../src/sys/index.js'

const count = { protects: 0, lifts: 0, pages: 0 }
const writeProtect = addon.writeProtect.bind(addon)
addon.writeProtect = (fd, address, length, protect) => {
  if (protect) {
    count.protects++
    count.pages += length / 4096
  } else {
    count.lifts++
  }
  return writeProtect(fd, address, length, protect)
}

const sealer = await Sealer.start({ directory: runtimeDirectory(), idleMs: 1_000_000, users: new Set(), onEnd: () => process.exit(0) })
process.on('disconnect', () => sealer?.stop())
process.on('message', ({ id }: { id: number }) => {
  process.send?.({ id, result: { ...count } })
  Object.assign(count, { protects: 0, lifts: 0, pages: 0 })
})
process.send?.({ id: 0, result: sealer !== undefined })
