// The consumer of the wake-up stress: maps the file on descriptor 3, connects to the socket, sleeps after each message.
import { connectUnix, Mapping } from '../../src/sys/index.js'
import type { Address } from '../../src/base/numbers.js'
import { type Mutilation, WakeEnd } from './wake-end.js'

const [socket, address, mutilation] = process.argv.slice(2) as [string, string, Mutilation]
const mapping = Mapping.map(3, Number(address) as Address, 4096)
const fd = connectUnix(socket, 'stream')
const end = new WakeEnd(new Int32Array(mapping.buffer), 'consumer', fd, mutilation, () => process.exit(0))
end.consume()
