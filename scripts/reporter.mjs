// A reporter for node:test that turns the events of one test file into lines of JSON for scripts/test.mjs:
//   { event: 'start' | 'pass' | 'fail' | 'skip' | 'done', name, path, error? } and, last, { event: 'end' }.
// A suite is not a test of its own, and neither is a test that failed only because a test inside it did.
import { inspect } from 'node:util'

export default async function* reporter(source) {
  const names = []
  const begun = []
  for await (const { type, data } of source) {
    if (type === 'test:dequeue') {
      // Emitted when a test truly begins; test:start only when it is its turn to be reported.
      begun[data.nesting] = data.name
      yield line({ event: 'start', name: data.name, path: begun.slice(0, data.nesting + 1) })
    } else if (type === 'test:start') {
      names[data.nesting] = data.name
    } else if (type === 'test:pass' || type === 'test:fail') {
      const event = outcome(type, data)
      const path = [...names.slice(0, data.nesting), data.name]
      if (event !== undefined) yield line({ event, name: data.name, path, ...(event === 'fail' && { error: describe(data) }) })
      else yield line({ event: 'done', name: data.name, path })
    }
  }
  yield line({ event: 'end' })
}

function outcome(type, data) {
  if (data.skip !== undefined || data.todo !== undefined) return 'skip'
  const isSuite = data.details.type === 'suite'
  if (type === 'test:pass') return isSuite ? undefined : 'pass'
  return data.details.error?.failureType === 'subtestsFailed' ? undefined : 'fail'
}

function describe({ details, file, line: at }) {
  const error = details.error?.cause ?? details.error
  // An assertion's message tells all; its other properties repeat it.
  const told = error?.code === 'ERR_ASSERTION' && error.cause === undefined
  const text = told ? String(error.stack) : inspect(error, { depth: 6 })
  return `${text.replace(/^ +at .*\(?node:internal\/.*\n?/gm, '')}\n(declared in ${file ?? 'an unknown file'}:${at ?? '?'})`
}

function line(record) {
  return `${JSON.stringify(record)}\n`
}
