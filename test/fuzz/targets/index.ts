import type { FuzzTarget } from '../target.js'
import { allocator } from './allocator.js'
import { descriptors } from './descriptors.js'
import { messages } from './messages.js'
import { objects } from './objects.js'
import { sealing } from './sealing.js'
import { daemonService, keeperService, sealerService } from './services.js'
import { sharedTarget } from './shared.js'
import { slots } from './slots.js'

/** Every target; making one may take memory, so they are made when they are used. */
export const TARGETS: Readonly<Record<string, () => FuzzTarget>> = {
  objects, shared: sharedTarget, allocator, slots, messages, descriptors, sealing, daemon: daemonService, sealer: sealerService, keeper: keeperService,
}
