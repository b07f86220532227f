// What a process holds, as the kernel tells it: for tests that prove that nothing is left.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What a process has open, as the kernel calls it. */
export function openFiles(pid: number | 'self' = 'self'): string[] {
  let names: string[]
  try {
    names = readdirSync(`/proc/${pid}/fd`)
  } catch {
    return []
  }
  return names.flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })
}

/** Open descriptors of this process that hold something: sockets, files of memory, watches on processes. */
export function openCount(): number {
  return openFiles().filter((name) => !name.startsWith('/proc/')).length
}

export function memoryFiles(pid: number | 'self' = 'self'): string[] {
  return openFiles(pid).filter((name) => name.startsWith('/memfd:rpcool'))
}

/** Memory files that a process has mapped. */
export function mappedMemoryFiles(pid: number | 'self' = 'self'): number {
  try {
    return readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').filter((line) => line.includes('/memfd:rpcool')).length
  } catch {
    return 0
  }
}

/** The life files that a process has mapped, by their numbers: its own, and those of whom it watches. */
export function lifeFiles(pid: number | 'self'): string[] {
  return readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').filter((line) => line.includes('/memfd:rpcool:life')).map((line) => line.split(/ +/)[4]!)
}

export function isAlive(pid: number): boolean {
  try {
    // A zombie that its parent has not asked for yet is dead.
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** State, time of CPU and what the kernel makes it wait for: what can be told of a process that does not answer. */
export function whatItDoes(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')
    return `state ${stat[0]}, ${stat[11]} + ${stat[12]} ticks of CPU, waits in ${readFileSync(`/proc/${pid}/wchan`, 'latin1')}`
  } catch {
    return 'gone'
  }
}
