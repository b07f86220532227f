import { provideJson } from './codec.js'

provideJson()

export { json, type JsonArray, type JsonObject, type JsonType, type JsonValue } from './type.js'
export { isJson, jsonEqual } from './whole.js'
export { buildJson, fast, parseJson } from './make.js'
export { jsonPath, type JsonPath, type JsonPredicate, type JsonScalar } from './path.js'
