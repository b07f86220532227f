// What the repository does not hold: long files, unfinished marks, silenced checks, traces of one machine.
import { test } from 'node:test'
import { LINE_LIMIT, LONG_FILES } from './long-files.js'
import { assertNone, indexedFiles, read, withoutComments, workingFiles } from './sources.js'

const CODE = /\.(ts|mts|cts|mjs|cjs|js|cc|c|h|sh)$/
const TEXT = /(\.(ts|mts|cts|mjs|cjs|js|cc|c|h|sh|json|md|txt|yml|yaml|svg)|\/run|^\.[\w.]+|LICENSE)$/

// Written in halves, so that this file does not find itself.
const BANNED: ReadonlyArray<readonly [pattern: RegExp, why: string]> = [
  [/\bTO(?:)DO\b|\bFIX(?:)ME\b|\bX(?:)XX\b/, 'unfinished work belongs in an issue'],
  [/\b(?:test|it|describe|suite)\.(?:only)\b|\bonly:\s*true\b/, 'the other tests would not run'],
  [/\b(?:test|it|describe|suite|t|context)\.(?:skip)\b|\bskip:\s*true\b/, 'a test runs or is deleted'],
  [/\bas(?:)\s+any\b|:\s*any(?:)\b\s*[,;=)]/, 'use unknown and a check'],
  [/@ts-(?:ignore|expect-error|nocheck)/, 'the compiler is right, or the type is wrong'],
  [/(?:eslint|oxlint)-(?:disable)/, 'change the code, or the rule for everyone'],
]

const code = workingFiles().filter((path) => CODE.test(path))

test('no file is long without a reason', () => {
  const lengths = new Map(code.map((path) => [path, read(path).split('\n').length - 1]))
  const long = [...lengths].filter(([path, lines]) => lines > LINE_LIMIT && LONG_FILES[path] === undefined)
  assertNone(long.map(([path, lines]) => `${path}: ${lines} lines`), `over ${LINE_LIMIT} lines: what is the second concern? Split it, or say why not in test/tree/long-files.ts:`)
  const stale = Object.keys(LONG_FILES).filter((path) => (lengths.get(path) ?? 0) <= LINE_LIMIT)
  assertNone(stale, 'no longer long; remove them from test/tree/long-files.ts:')
})

test('no unfinished mark and no silenced check', () => {
  const findings = code.flatMap((path) => linesOf(path).flatMap(([line, number]) =>
    BANNED.filter(([pattern]) => pattern.test(line)).map(([, why]) => `${path}:${number}: ${line.trim()} (${why})`)))
  assertNone(findings, 'banned marks:')
})

test('the index holds no trace of one machine', () => {
  const traces = /(?<![\w.:/-])\/(?:home|Users|root|work)\/\w|registry\.(?:npmjs)/
  const findings = indexedFiles().filter((path) => TEXT.test(path) && exists(path)).flatMap((path) =>
    linesOf(path).filter(([line]) => traces.test(line)).map(([line, number]) => `${path}:${number}: ${line.trim().slice(0, 120)}`))
  assertNone(findings, 'paths of a machine or a registry host:')
})

test('lockfiles name no registry', () => {
  const locks = indexedFiles().filter((path) => path.endsWith('package-lock.json') && exists(path))
  assertNone(locks.filter((path) => read(path).includes('"resolved"')), 'lockfiles with resolved addresses (see .npmrc):')
})

test('the index holds no build output', () => {
  const output = /(^|\/)node_modules\/|^(dist|build|prebuilds)\/|\.(node|o|so|a|tgz|tsbuildinfo|log)$/
  assertNone(indexedFiles().filter((path) => output.test(path)), 'made by a build, not to be committed:')
})

test('every file of src/ exports something', () => {
  const silent = code.filter((path) => /^src\/.*\.ts$/.test(path) && !/^export\b/m.test(withoutComments(read(path))))
  assertNone(silent, 'nothing can use these:')
})

function linesOf(path: string): Array<readonly [line: string, number: number]> {
  return read(path).split('\n').map((line, index) => [line, index + 1])
}

const present = new Set(workingFiles())
function exists(path: string): boolean {
  return present.has(path)
}
