// What the attacked handler is given: pages of bytes that say at once when one of them changes.
import { bytes, method, service, struct, text } from '../../../src/index.js'

export const Prey = struct('AttackedPrey', { data: bytes })
export const Attacked = service('attacked', {
  /** Waits until the test says so, and tells whether the bytes changed meanwhile. */
  sealed: method(1, Prey, text, { isolation: 'seal' }),
  /** The same over memory that nothing protects: what an attack does there shows that it is one. */
  unprotected: method(2, Prey, text),
})
