/**
 * RPCool: RPC between processes by passing pointers to object graphs in shared memory.
 *
 * Describe data with types (`struct`, `list`, `text` …), a service with `service` and `method`; then `serve` it in one
 * process and `connect` to it in another.
 */
export { RpcError, type RpcErrorOptions, Status, type StatusCode, type StatusName, WildPointerError } from './base/errors.js'
export type { Address } from './base/numbers.js'
export * from './objects/public.js'
export {
  AcceptedConnection, type CallerIdentity, type CallOptions, ClientConnection, connect, type Connection, type ConnectOptions,
  type Handlers, method, type Method, type Methods, type ObjectHeap, Pipeline, Rpc, RpcConnection, type RpcFunction, serve, type Server,
  type ServerCall, type ServerConnection, type ServerOptions, service, type Service, SharedString, type Waiting,
} from './calls/index.js'
export type { HeapStats } from './memory/index.js'
