// A program that a launcher confined: attaches the heap that was prepared for it, and says what became of it.
import { writeSync } from 'node:fs'
import { SealClient } from '../../src/safety/seals/seal-client.js'
import { formatStrength } from '../../src/safety/seals/strength.js'
import { Mapping } from '../../src/sys/index.js'

const mapping = Mapping.prepared()
const client = SealClient.ofDirectory()
const authority = await client.attachSender({ token: process.argv[2]!, address: mapping.address, byteLength: mapping.byteLength })
writeSync(1, `${formatStrength(authority.strength)}\n`)
client.close()
