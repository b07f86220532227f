// A lock between processes that a dead holder cannot keep, made of numbered files: the highest number holds.
// A newcomer may add the next number only after the highest one's process has ended or released, and link(2)
// lets exactly one newcomer win. Nothing is deleted while it could still be judged: only the holder deletes,
// and only lower numbers. A newcomer that judged an old listing finds a higher number afterwards and steps back.
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 100

/** Waits for the lock and returns the function that releases it. `onWait(pid)` is told once who holds it. */
export async function acquireLock(directory, onWait) {
  mkdirSync(directory, { recursive: true })
  const identity = `${process.pid} ${startTime(process.pid)}`
  const mine = join(directory, `.${process.pid}.${Math.random().toString(36).slice(2)}`)
  let told = false
  for (;;) {
    const top = highest(directory)
    const holder = top === 0 ? undefined : livingHolder(join(directory, String(top)))
    if (holder === undefined && tryTake(directory, top + 1, mine, identity)) return () => release(directory, top + 1, mine)
    if (holder !== undefined && !told) {
      told = true
      onWait?.(holder)
    }
    await sleep(POLL_MS)
  }
}

function tryTake(directory, number, mine, identity) {
  writeFileSync(mine, identity)
  try {
    linkSync(mine, join(directory, String(number)))
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(mine, { force: true })
  }
  if (highest(directory) !== number) {
    rmSync(join(directory, String(number)), { force: true })
    return false
  }
  for (const old of numbers(directory)) if (old < number) rmSync(join(directory, String(old)), { force: true })
  return true
}

function release(directory, number, mine) {
  writeFileSync(mine, 'released')
  renameSync(mine, join(directory, String(number)))
}

function numbers(directory) {
  return readdirSync(directory).filter((name) => /^\d+$/.test(name)).map(Number)
}

function highest(directory) {
  return Math.max(0, ...numbers(directory))
}

/** The pid that holds the file, or undefined when it was released or its process has ended. */
function livingHolder(path) {
  let text
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
  const [pid, started] = text.split(' ')
  return started !== undefined && startTime(pid) === started ? Number(pid) : undefined
}

/** When a process started, in clock ticks since boot: tells a reused pid from the process that took the lock. */
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
