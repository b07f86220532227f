import { bytes, method, service, u32 } from 'rpcool'

export const Counting = service('counting', {
  /** How many of the bytes are zero. */
  zeros: method(1, bytes, u32),
})
