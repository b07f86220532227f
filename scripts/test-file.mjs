// Runs one compiled test file in a process of its own, under a watchdog, and reports what came of it.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { root } from './console.mjs'
import { MARK, killMarked, markedProcesses } from './processes.mjs'

const OUTPUT_KEPT = 20_000
// An embedded daemon ends by itself soon after its last user; what lives longer was left behind.
const LEFTOVER_GRACE_MS = 15_000

const running = new Set()

/** Ends every process of every test file that is running: for when the run itself is interrupted. */
export function killAll() {
  for (const mark of running) {
    killMarked(mark)
    rmSync(mark, { recursive: true, force: true })
  }
}

/**
 * Resolves, when the file's process has ended, with { passed, skipped, failures: [{ name, error }], output, seconds, leftovers };
 * `leftovers` is a promise of one more failure, or of undefined, once the processes that the file started had time to end.
 */
export async function runTestFile(file, watchdogSeconds) {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-t'))
  const mark = folder
  running.add(mark)
  const events = join(folder, 'events')
  const started = Date.now()
  const child = spawn(process.execPath, [
    '--enable-source-maps', '--expose-gc',
    `--test-reporter=${pathToFileURL(join(root, 'scripts', 'reporter.mjs')).href}`, `--test-reporter-destination=${events}`,
    join(root, file),
  ], { cwd: root, env: environment(folder, mark), stdio: ['ignore', 'pipe', 'pipe'] })
  const output = collect(child)
  const { ending, hung } = await waitFor(child, mark, watchdogSeconds)
  const result = judge(readEvents(events), ending, hung, watchdogSeconds)
  return { ...result, output: output(), seconds: (Date.now() - started) / 1000, leftovers: leftovers(folder, mark) }
}

/** Each file has its own daemon and runtime directory, so that files cannot disturb each other. */
function environment(folder, mark) {
  const env = { ...process.env, [MARK]: mark, RPCOOL_RUNTIME_DIR: join(folder, 'run') }
  delete env.NODE_TEST_CONTEXT
  return env
}

function collect(child) {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      text = (text + chunk).slice(-OUTPUT_KEPT)
    })
  }
  return () => text.trim()
}

async function waitFor(child, mark, watchdogSeconds) {
  let hung
  const watchdog = setTimeout(() => {
    hung = markedProcesses(mark)
    killMarked(mark)
    child.kill('SIGKILL')
  }, watchdogSeconds * 1000)
  const ending = await new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ?? code))
  })
  clearTimeout(watchdog)
  return { ending, hung }
}

function readEvents(path) {
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n')
  lines.pop() // what follows the last line's end: nothing, or a record that a kill cut short
  return lines.map((line) => JSON.parse(line))
}

function judge(events, ending, hung, watchdogSeconds) {
  const count = (kind) => events.filter(({ event }) => event === kind).length
  const failures = events.filter(({ event }) => event === 'fail').map(({ path, error }) => ({ name: path.join(' › '), error }))
  const result = { passed: count('pass'), skipped: count('skip'), failures }
  if (hung !== undefined) {
    failures.push({ name: 'the file hung', error: `no end after ${watchdogSeconds} s. ${waitedFor(events)}\nIts processes:\n`
      + hung.map(({ pid, command }) => `  ${pid} ${command}`).join('\n') })
  } else if (events.length === 0 && ending === 0) {
    failures.push({ name: 'the file ran no test', error: 'it declares none, or ended its process before the first' })
  } else if (events.at(-1)?.event !== 'end') {
    failures.push({ name: 'the file ended before its tests did', error: `it ended with ${ending}. ${waitedFor(events)}` })
  } else if (ending !== 0 && failures.length === 0) {
    failures.push({ name: 'the file failed', error: `it ended with ${ending} although no test failed` })
  }
  return result
}

function waitedFor(events) {
  const open = new Map()
  for (const { event, path } of events) {
    if (event === 'start') open.set(JSON.stringify(path), path)
    else if (path !== undefined) open.delete(JSON.stringify(path))
  }
  if (open.size > 0) return `Begun and not ended: ${[...open.values()].map((path) => path.join(' › ')).join('; ')}`
  return events.length === 0 ? 'No test had begun.' : 'All tests that had begun had ended: something kept the process busy or its event loop alive.'
}

async function leftovers(folder, mark) {
  const end = Date.now() + LEFTOVER_GRACE_MS
  let left = markedProcesses(mark)
  while (left.length > 0 && Date.now() < end) {
    await sleep(100)
    left = markedProcesses(mark)
  }
  killMarked(mark)
  running.delete(mark)
  rmSync(folder, { recursive: true, force: true })
  if (left.length === 0) return undefined
  return { name: 'processes were left behind', error: left.map(({ pid, command }) => `  ${pid} ${command}`).join('\n') }
}
