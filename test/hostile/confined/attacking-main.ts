// A client that turns on its own call: it passes pages of bytes, and while the handler reads them native code tries to change one.
// Arguments: channel, addon, the attack's name, "sealed" or "unprotected".
import { readdirSync, readlinkSync, statSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { addressOf, connect } from '../../../src/index.js'
import { preparedHeaps } from '../../../src/sys/index.js'
import { Attacked, Prey } from './service.js'

const PAGE = 4096
const [channel, addon, name, how] = process.argv.slice(2) as [string, string, string, 'sealed' | 'unprotected']
const attacks = createRequire(import.meta.url)(addon) as { before(name: string, page: number, heap: number, length: number): void, during(): void }
const say = (id: number, result: unknown): void => void writeSync(1, `${JSON.stringify({ id, result })}\n`)

const conn = await connect(channel, Attacked)
const scope = conn.createScope(6 * PAGE)
const prey = scope.new(Prey, { data: new Uint8Array(4 * PAGE).fill(0x11) })
// A page in the middle of the bytes.
const page = Math.ceil(addressOf(prey) / PAGE) * PAGE + PAGE
const heap = preparedHeaps().find(({ address, byteLength }) => page >= address && page < address + byteLength) ?? { address: scope.address, byteLength: 6 * PAGE }

/** Descriptors through which the heap could be written, or its protection be undone. */
function keptDescriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${fd}`)
      const isHeap = file.includes('memfd:rpcool') && statSync(`/proc/self/fd/${fd}`).size === heap.byteLength
      return isHeap || file.includes('userfaultfd') ? [file] : []
    } catch {
      return []
    }
  })
}

const commands: Record<string, () => unknown> = {
  strength: () => conn.seals?.strength ?? 'none',
  pid: () => process.pid,
  kept: keptDescriptors,
  begin: () => {
    attacks.before(name, page, heap.address, heap.byteLength)
    conn[how](prey).catch((error: unknown) => process.stderr.write(`${String(error)}\n`))
    return 'called'
  },
  attack: async () => {
    attacks.during()
    await new Promise((resolve) => setTimeout(resolve, 250))
    return 'done'
  },
}

createInterface(process.stdin).on('line', (line) => {
  const { id, command } = JSON.parse(line) as { readonly id: number, readonly command: string }
  void Promise.resolve(commands[command]!()).then((result) => say(id, result))
}).on('close', () => process.kill(process.pid, 'SIGKILL'))
say(0, null)
