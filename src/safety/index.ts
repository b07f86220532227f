export { type Holding, IsolatedArguments } from './isolated-arguments.js'
export { type Isolation, requireIsolation } from './isolation.js'
export { Inside, type ReplyArea, Sandbox, type SandboxHost, type SandboxLimits } from './sandbox/sandbox.js'
export { SNAPSHOT_BYTES } from './snapshot.js'
