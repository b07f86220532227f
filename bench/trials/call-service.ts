import { f64, method, nothing, service, struct, u32 } from 'rpcool'

/** The argument and the result of the typed call. */
export const Sample = struct('Sample', { id: u32, weight: f64, flags: u32 })

/** What every library side of the `call` trial speaks. */
export const CallService = service('bench.call', {
  noop: method(1, nothing, nothing),
  typed: method(2, Sample, Sample),
  increment: method(3, u32, u32),
})
