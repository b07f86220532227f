export { u8, i8, u16, i16, u32, i32, u64, i64, safeU64, safeI64, f32, f64, bool } from './scalar/scalars.js'
export { text } from './text/text.js'
export { bytes } from './sequence/bytes.js'
export { numbers } from './sequence/numbers.js'
export { nothing } from './scalar/nothing.js'
export { struct } from './struct/struct.js'
export { type FieldLayout, layoutOf, type ObjectLayout } from './struct/layout-of.js'
export { ref } from './ref.js'
export { list } from './sequence/list.js'
export { array } from './sequence/fixed-array.js'
export { optional } from './optional.js'
export { textField, type TextField, type TextFieldName } from './text/field.js'
export { map, set } from './map/map.js'
export { shared } from './shared/shared.js'
export { sortedMap } from './sorted/map.js'
export { union } from './union.js'
export {
  buildJson, fast, isJson, json, jsonEqual, jsonPath, type JsonArray, type JsonObject, type JsonPath, type JsonPredicate, type JsonScalar, type JsonType, type JsonValue,
  parseJson,
} from './json/index.js'
export { assign, build, copyGraph, readInto, release, typeOf, unsafeBytes, unsafeNumbers, viewAt } from './graph/objects.js'
export type { CopyLimits } from './graph/copier.js'
export { plain, type PlainOptions } from './graph/plain.js'
export { addressOf, HOLD, type Hold, isView, locationOf, same } from './view.js'
export { cellOf, type Cell } from './cell.js'
export { type Built } from './graph/build.js'
export { describe, fingerprint, type StructDescription, type TypeDescription } from './schema/describe.js'
export { compareDescriptions } from './schema/compare.js'
export { isType } from './codec.js'
export type {
  AnyType, BytesType, DeepReadonly, FixedArrayType, IntegerKind, KeyType, ListType, MapType, NothingType, NumberArrays, NumbersType, OptionalType, Plain, ReadonlyView, RefType, ScalarKind,
  ScalarType, SetType, SharedType, SmallIntegerKind, SortedKeyType, SortedMapType, Snapshot, StructType, TextType, UnionType, Unset, View,
} from './types.js'
export type { FixedArrayView, ListView, MapView, Range, ReadonlyMapView, ReadonlySetView, ReadonlySharedView, ReadonlySortedMapView, SequenceView, SetLike, SetView, SharedView, SortedMapView, WaitOptions } from './views.js'
