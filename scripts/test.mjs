// npm test [-- <part of a path> …]: set-up, lint, then every test file, each in a process of its own.
// The last line is `N passed, N failed` and, if any, `, N skipped`.
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { SetupError, root } from './console.mjs'
import { ensurePrograms, PROGRAMS } from './debian.mjs'
import { lint } from './lint.mjs'
import { setUp } from './setup.mjs'
import { killAll, runTestFile } from './test-file.mjs'

// These load the machine, or need all of it to race with each other: one file at a time.
const SERIAL = /^build\/test\/(system|chaos|hostile\/mutation|bench)\//
const WATCHDOG_SECONDS = 300
const SERIAL_WATCHDOG_SECONDS = 1200
const PARALLEL = Math.min(2, availableParallelism())

const total = { passed: 0, failed: 0, skipped: 0 }

async function run(filters) {
  const wanted = (name) => filters.length === 0 || filters.some((filter) => name.includes(filter))
  if (!(await trySetUp(wanted))) return
  if (wanted('lint')) runLint()
  const files = testFiles().filter((file) => wanted(file.replace(/\.js$/, '.ts')))
  const pending = []
  await runAll(files.filter((file) => !SERIAL.test(file)), PARALLEL, pending)
  await runAll(files.filter((file) => SERIAL.test(file)), 1, pending)
  for (const { file, leftovers } of pending) {
    const failure = await leftovers
    if (failure !== undefined) report(file, { passed: 0, skipped: 0, failures: [failure], output: '', seconds: 0 })
  }
  if (total.passed + total.failed === 0) console.log(`no test ran${filters.length > 0 ? `: none matches ${filters.join(', ')}` : ''}`)
}

async function trySetUp(wanted) {
  try {
    ensurePrograms(PROGRAMS)
    await setUp({ runtimes: wanted('build/test/packaging/') })
    return true
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    report('set-up', { passed: 0, skipped: 0, failures: [{ name: 'set-up', error: error.message }], output: '', seconds: 0 })
    return false
  }
}

function runLint() {
  const started = Date.now()
  const { clean, text } = lint()
  const failures = clean ? [] : [{ name: 'lint', error: text }]
  report('lint', { passed: clean ? 1 : 0, skipped: 0, failures, output: '', seconds: (Date.now() - started) / 1000 })
}

/** The tidy tests first: they are quick and tell most. */
function testFiles() {
  const rank = (file) => (file.startsWith('build/test/tree/') ? 0 : 1)
  return readdirSync(join(root, 'build', 'test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => `build/test/${file}`)
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
}

async function runAll(files, concurrency, pending) {
  const queue = [...files]
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runTestFile(file, SERIAL.test(file) ? SERIAL_WATCHDOG_SECONDS : WATCHDOG_SECONDS)
      pending.push({ file, leftovers: result.leftovers })
      report(file, result)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

function report(file, { passed, skipped, failures, output, seconds }) {
  total.passed += passed
  total.skipped += skipped
  total.failed += failures.length
  const name = file.replace(/^build\//, '').replace(/\.js$/, '.ts')
  const counts = [`${passed} passed`, failures.length > 0 && `${failures.length} FAILED`, skipped > 0 && `${skipped} skipped`]
  console.log(`${failures.length > 0 ? 'FAIL' : 'ok  '} ${name}  ${counts.filter(Boolean).join(', ')}  ${seconds.toFixed(1)} s`)
  for (const failure of failures) console.log(`\n  ✖ ${failure.name}\n${failure.error.replace(/^/gm, '    ')}\n`)
  if (failures.length > 0 && output !== '') console.log(`  what it printed:\n${output.replace(/^/gm, '    | ')}\n`)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    killAll()
    process.exit(130)
  })
}
await run(process.argv.slice(2))
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
