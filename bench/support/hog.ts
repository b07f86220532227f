import { setImmediate } from 'node:timers/promises'
import { startChild, type Child } from './child.js'
import { nowNs } from './clock.js'
import { program } from './program.js'

/** Long against a scheduler's slice, so that the hog always wants the CPU; short against a person's patience at the end. */
const SLICE_NS = 20e6

export const burnCpu = program<null>(import.meta.url, 'burnCpu', async (_, control) => {
  let finished = false
  const finishing = control.finish.then(() => {
    finished = true
  })
  control.ready()
  while (!finished) {
    const end = nowNs() + SLICE_NS
    while (nowNs() < end) continue
    await setImmediate()
  }
  await finishing
})

/** A process that always wants `cpu`. The caller owns it; disposing ends it. */
export async function startHog(cpu: number): Promise<Child<void, void>> {
  const hog = startChild(burnCpu, null, { label: `the CPU hog on CPU ${String(cpu)}`, cpu })
  await hog.ready()
  return hog
}
