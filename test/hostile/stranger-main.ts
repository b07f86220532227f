// A process that was never announced, at the door of a server.
import { randomBytes } from 'node:crypto'
import { addon, connectUnix, errnoCode } from '../../src/sys/index.js'

const [how, path] = process.argv.slice(2) as [string, string]
const SOCKETS = how === 'a thousand silent sockets' ? 1000 : 300
const open: number[] = []

function frame(value: unknown): Uint8Array {
  const body = Buffer.from(JSON.stringify(value))
  const head = Buffer.alloc(4)
  head.writeUInt32LE(body.length)
  return Buffer.concat([head, body])
}

function say(fd: number): void {
  const token = randomBytes(16).toString('hex')
  const hello = frame({ token, fingerprint: 'x', description: null })
  switch (how) {
    case 'wrong tokens': return void addon.sendMessage(fd, hello)
    case 'huge frames': return void addon.sendMessage(fd, Uint8Array.of(0, 0, Math.random() < 0.5 ? 16 : 15, Math.random() < 0.5 ? 0 : 255, 1, 2, 3))
    case 'garbage': return void addon.sendMessage(fd, randomBytes(1000))
    case 'a byte at a time': return void addon.sendMessage(fd, hello.subarray(0, 1))
    default: return undefined
  }
}

function again(): void {
  for (let i = 0; i < 50; i++) {
    try {
      const fd = connectUnix(path, 'stream')
      open.push(fd)
      say(fd)
    } catch (error) {
      if (errnoCode(error) === undefined) throw error
    }
    if (open.length > SOCKETS) addon.closeFd(open.shift()!)
  }
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, argument }: { id: number, argument: number }) => {
  const timer = setInterval(again, 5)
  setTimeout(() => {
    clearInterval(timer)
    process.send?.({ id, result: open.length })
  }, argument)
})
process.send?.({ id: 0, result: null })
