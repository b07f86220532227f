// A program that a launcher confined: attaches the heap that was prepared for it, and one that was not, and says what became of them.
import { writeSync } from 'node:fs'
import { makeAddress, PAGE_BYTES } from '../../src/base/numbers.js'
import { SealClient } from '../../src/safety/seals/seal-client.js'
import { formatStrength } from '../../src/safety/seals/strength.js'
import { createMemoryFile, Mapping, preparedHeaps } from '../../src/sys/index.js'

const token = process.argv[2]!
const mapping = Mapping.prepared(preparedHeaps()[0]!)
const client = SealClient.ofDirectory()
const authority = await client.attachSender({ token, address: mapping.address, byteLength: mapping.byteLength })
writeSync(1, `${formatStrength(authority.strength)}\n`)
const other = Mapping.map(createMemoryFile('other', PAGE_BYTES, true), makeAddress(0x4011, 0), PAGE_BYTES)
try {
  await client.attachSender({ token, address: other.address, byteLength: PAGE_BYTES })
} catch (error) {
  writeSync(1, `${String(error)}\n`)
}
client.close()
process.exit(0)
