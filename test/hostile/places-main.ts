// Takes places at a service, as many as it is told, says how many it was given, and keeps them until it is killed.
import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectUnix, errnoCode, receivePacket, sendPacket } from '../../src/sys/index.js'

const [socket, hello, wanted] = process.argv.slice(2) as [string, string, string]
const open: number[] = []
let welcome = 0

function answered(fd: number): boolean {
  const packet = receivePacket(fd)
  if (packet === undefined) return false
  if (Buffer.from(packet.bytes).includes('"welcome"')) welcome++
  return true
}

while (open.length < Number(wanted)) {
  try {
    const fd = connectUnix(socket, 'packets')
    sendPacket(fd, Buffer.from(hello), [])
    open.push(fd)
    while (!answered(fd)) await sleep(1)
  } catch (error) {
    // Dropped with a goodbye, or the queue of those who wait is full for a moment.
    if (errnoCode(error) === undefined) throw error
    await sleep(1)
  }
}
writeSync(1, `${welcome}\n`)
process.stdin.resume()
