export { DaemonClient, type DaemonClientOptions } from './client/client.js'
export { checkName } from './protocol/names.js'
export { openRuntimeDirectory, runtimeDirectory } from './place/runtime-directory.js'
export * from './protocol/types.js'
