// Targets that fail, each in its own way: what a campaign must notice and keep.
import type { FuzzTarget } from '../target.js'

function failing(name: string, fail: () => void): () => FuzzTarget {
  return () => ({
    name,
    tryCase: (random) => {
      if (random.below(50) === 7) fail()
      return 1
    },
  })
}

export const FAILING: Readonly<Record<string, () => FuzzTarget>> = {
  throwing: failing('throwing', () => { throw new TypeError('found') }),
  crashing: failing('crashing', () => void process.kill(process.pid, 'SIGSEGV')),
  exiting: failing('exiting', () => process.exit(3)),
  hanging: failing('hanging', () => {
    for (;;);
  }),
}
