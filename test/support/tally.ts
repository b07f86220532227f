// A service whose clients count in something shared.
import { map, method, nothing, ref, service, shared, struct, text, u32 } from '../../src/index.js'

export const Tally = struct('Tally', { counts: shared(map(text, u32)) })
export const Tallies = service('tallies', { tally: method(1, nothing, ref(Tally)) })
