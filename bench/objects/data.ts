import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { NoBench } from '../nobench/generate.js'

const require = createRequire(import.meta.url)

/** JSON that the measurements of json are made on. */
export interface JsonData {
  readonly name: string
  /** Each value is written, or its text parsed, by itself. */
  readonly values: readonly object[]
}

/** NoBench documents one by one, the data of browser-compat-data as one value, and this project's lock file as one. */
export function jsonData(documents: number): JsonData[] {
  const lock = readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8')
  return [
    { name: 'nobench', values: Array.from(new NoBench(documents), clone) },
    { name: 'browser_compat_data', values: [clone(require('@mdn/browser-compat-data'))] },
    { name: 'lock_file', values: [JSON.parse(lock) as object] },
  ]
}

/** As a program has it that has received it: strings and hidden classes as JSON.parse makes them. */
function clone(value: unknown): object {
  return JSON.parse(JSON.stringify(value)) as object
}
