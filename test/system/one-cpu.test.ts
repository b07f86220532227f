// Both ends on one CPU: whoever waits must let the other one run.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { Ground } from '../support/ground.js'

/** The CPUs that a process may run on, as the kernel says it. */
function cpusOf(pid: number): string {
  return /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
}

const cpu = /^\d+/.exec(cpusOf(process.pid))![0]

// All threads of this process, and what it starts from now on.
before(() => execFileSync('taskset', ['-a', '-p', '-c', cpu, String(process.pid)], { stdio: ['ignore', 'ignore', 'inherit'] }))

/** Calls one after another; from ends that never rest the CPU is taken for each, after a slice of milliseconds. */
const CALLS = { adaptive: 200, spin: 10 }
/** CPU time for a call at most, in milliseconds, of an end that lets the other one run: far from what it takes and from a slice. */
const CALL_CPU_MS = 0.5

for (const waiting of ['adaptive', 'spin'] as const) {
  const calls = CALLS[waiting]
  test(`calls between two ends on one CPU that wait by "${waiting}"`, async (t) => {
    await using ground = await Ground.open(t)
    const server = await ground.serve({ waiting })
    assert.deepEqual([cpusOf(process.pid), cpusOf(server.pid)], [cpu, cpu])
    const conn = await ground.connect({ waiting, slots: 16 })
    const before = process.cpuUsage()
    for (let i = 0; i < calls; i++) assert.equal(conn.sync.number(i), i)
    for (let i = 0; i < calls; i++) assert.equal(await conn.number(i), i)
    const { user, system } = process.cpuUsage(before)
    const each = (user + system) / 1000 / (2 * calls)
    if (waiting === 'adaptive') assert.ok(each < CALL_CPU_MS, `${each} ms of CPU time for a call`)
    const numbers = Array.from({ length: calls }, (_, i) => i)
    assert.deepEqual(await Promise.all(numbers.map((i) => conn.number(i))), numbers)
    const pipeline = conn.pipeline('number')
    const answers: number[] = []
    for (const i of numbers) {
      while (!pipeline.submit(i)) {
        pipeline.wait()
        pipeline.poll((answer) => answers.push(answer))
      }
    }
    while (pipeline.inFlight > 0) {
      pipeline.wait()
      pipeline.poll((answer) => answers.push(answer))
    }
    assert.deepEqual(answers, numbers)
    // Both asleep between these.
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, i))
      assert.equal(await conn.number(i), i)
    }
  })
}
