// A service whose arguments are sealed, for tests of two processes.
import { method, service, struct, text, u32 } from '../../src/index.js'

export const Paper = struct('SealedPaper', { value: u32, body: text })
export const SealedService = service('sealed', {
  /** Answers the value. */
  read: method(1, Paper, u32, { isolation: 'seal' }),
  /** Reads, waits until the test says `go`, reads again: whether it changed. */
  hold: method(2, Paper, text, { isolation: 'seal' }),
})
