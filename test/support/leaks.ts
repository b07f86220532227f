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

export function isAlive(pid: number): boolean {
  try {
    // A zombie that its parent has not asked for yet is dead.
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
