import { provideJson } from './codec.js'

provideJson()

export { json, type JsonArray, type JsonObject, type JsonType, type JsonValue } from './type.js'
export { isJson, jsonEqual } from './whole.js'
export { buildJson, fast } from './make.js'
