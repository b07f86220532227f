export { type Holding, IsolatedArguments } from './isolated-arguments.js'
export { type Isolation, requireIsolation } from './isolation.js'
export { SNAPSHOT_BYTES } from './snapshot.js'
