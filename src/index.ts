/**
 * RPCool: RPC between processes by passing pointers to object graphs in shared memory.
 *
 * Describe data with types (`struct`, `list`, `text` …), a service with `service` and `method`; then `serve` it in one
 * process and `connect` to it in another.
 */
export { RpcError, type RpcErrorOptions, SealedError, Status, type StatusCode, type StatusName, WildPointerError } from './base/errors.js'
export type { Address } from './base/numbers.js'
export {
  addressOf, array, assign, bool, bytes, f32, f64, fast, i16, i32, i64, i8, isJson, isView, json, jsonEqual, jsonPath, layoutOf, list, map, nothing, numbers, optional, plain, type PlainOptions, readInto, ref, safeI64,
  safeU64, same, set, shared, sortedMap, struct, text, textField, u16, u32, u64, u8, union, unsafeBytes, unsafeNumbers,
} from './objects/index.js'
export type {
  AnyType, BytesType, CopyLimits, FieldLayout, DeepReadonly, FixedArrayType, FixedArrayView, IntegerKind, JsonArray, JsonObject, JsonPath, JsonPredicate, JsonScalar, JsonType, JsonValue, KeyType, ListType, ListView, MapType, MapView, NothingType, NumberArrays, NumbersType, ObjectLayout, OptionalType, Plain, Range, ReadonlyMapView, ReadonlySetView, ReadonlySharedView, ReadonlySortedMapView, ReadonlyView, RefType,
  ScalarKind, ScalarType, SequenceView, SetLike, SetType, SetView, SharedType, SharedView, SmallIntegerKind, SortedKeyType, SortedMapType, SortedMapView, Snapshot, StructType, TextField, TextFieldName, TextType, UnionType, Unset, View, WaitOptions,
} from './objects/index.js'
export {
  AcceptedConnection, type ArgumentOf, type AsyncMethods, type CallerIdentity, type CallOptions, ClientConnection, connect, type Connection, type ConnectOptions,
  type HandlerResult, type Handlers, method, type Method, type MethodOptions, type Methods, type ObjectHeap, type ObjectScope, type ObjectScopePool, Pipeline, type Result, type ResultOf, Rpc, RpcConnection, type RpcFunction, type SealOptions, serve, type Server,
  type ServerCall, type ServerConnection, type ServerOptions, service, type Service, SharedString, type SyncMethods, type Waiting,
} from './calls/index.js'
export type { HeapStats, Leak, MemberStats, ScopePoolOptions, SizeStats } from './memory/index.js'
export {
  type ConnectionSeals, type Hole, type Inside, type Isolation, prepareWasm, type ReplyArea, type Sandbox, type SandboxLimits, type SealDemand, WasmHandlers, type WasmOptions,
} from './safety/index.js'
