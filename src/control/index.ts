export { DaemonClient, type DaemonClientOptions } from './client.js'
export { checkName } from './names.js'
export { openRuntimeDirectory, runtimeDirectory } from './runtime-directory.js'
export * from './types.js'
