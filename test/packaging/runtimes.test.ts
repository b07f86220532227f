// The packed library on every supported runtime, in both module forms, against the table of expected exceptions.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { join } from 'node:path'
import { root } from '../tree/sources.js'
import { type Project, createProject } from './project.js'
import { RUNTIMES, versionOf } from './runtimes.js'
import { saysWhy } from './says-why.js'
import { type Outcome, records, runProgram, runSmoke } from './smoke.js'

interface Table {
  readonly exceptions: Readonly<Record<string, Readonly<Record<string, string>>>>
}

const table = JSON.parse(readFileSync(join(root, 'test', 'packaging', 'expected.json'), 'utf8')) as Table
const features = [...readFileSync(join(root, 'test', 'packaging', 'smoke', 'features.mjs'), 'utf8').matchAll(/^ {2}'([^']+)': async/gm)]
  .map(([, name = '']) => name)

describe('the packed library', () => {
  let project: Project
  before(() => { project = createProject() })
  after(() => project[Symbol.dispose]())

  for (const runtime of RUNTIMES) {
    test(`${runtime.name} is the version it is called`, () => {
      assert.match(versionOf(runtime), runtime.name.startsWith('node') ? new RegExp(`^v${runtime.name.slice(4)}\\.`) : /\d+\.\d+/)
    })

    for (const program of ['esm.mjs', 'cjs.cjs']) {
      test(`${runtime.name} runs ${program} as the table says`, async () => {
        const outcomes = await runSmoke(project, runtime, program, features)
        const surprises = features.flatMap((name) => surprise(name, outcomes.get(name), table.exceptions[runtime.name]?.[name]))
        assert(surprises.length === 0, `${runtime.name}, ${program}: test/packaging/expected.json says otherwise:\n${surprises.join('\n')}`)
      })
    }
  }

  test('the table of exceptions names only known runtimes and features', () => {
    assert.deepEqual(Object.keys(table.exceptions), RUNTIMES.map(({ name }) => name))
    const named = Object.values(table.exceptions).flatMap((exceptions) => Object.keys(exceptions))
    assert.deepEqual(named.filter((name) => !features.includes(name)), [])
  })

  test('README says the same as the table of exceptions, of the same versions', () => {
    const rows = readFileSync(join(root, 'README.md'), 'utf8').split('\n').filter((line) => line.startsWith('|')).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()))
    const head = rows.findIndex((cells) => cells[1] === 'Node 20')
    assert.ok(head >= 0, 'the table of runtimes is in README.md')
    const called = RUNTIMES.map((runtime) => runtime.name.startsWith('node') ? `Node ${runtime.name.slice(4)}` : `${runtime.name[0]!.toUpperCase()}${runtime.name.slice(1)} ${/\d+\.\d+/.exec(versionOf(runtime))?.[0]}`)
    assert.deepEqual(rows[head], ['', ...called])
    const cells = (of: readonly string[]): string[] => RUNTIMES.map(({ name }) => {
      const whys = of.flatMap((feature) => table.exceptions[name]?.[feature] ?? [])
      return whys.length === 0 ? 'yes' : `no: ${whys.map((why) => `"${why}"`).join(', ')}`
    })
    assert.deepEqual(rows[head + 2]?.slice(1), cells(features.filter((feature) => feature !== 'using syntax')))
    assert.deepEqual(rows[head + 3]?.slice(1), cells(['using syntax']))
    assert.match(rows[head + 3]?.[0] ?? '', /^`using`/)
  })

  for (const runtime of RUNTIMES.filter(({ name }) => name.startsWith('node'))) {
    test(`the ES module and the CommonJS form work together in one ${runtime.name} process, or say why not`, async () => {
      const { stdout, stderr, ending } = await runProgram(project, runtime, 'two-copies.mjs', ['esm+cjs'])
      const [record] = records(stdout)
      assert(record !== undefined, `it ended with ${ending}: ${stderr}`)
      assert(record.works === true || saysWhy(record.error), record.stack ?? record.error)
    })
  }
})

function surprise(name: string, outcome: Outcome | undefined, expected: string | undefined): string[] {
  if (outcome === undefined) return [`${name}: not run`]
  if (expected === undefined) return outcome.works ? [] : [`${name}: expected to work, but: ${outcome.error}\n${outcome.stack}`]
  if (outcome.works) return [`${name}: works now; remove its exception`]
  return outcome.error.includes(expected) ? [] : [`${name}: expected «${expected}», but: ${outcome.error}\n${outcome.stack}`]
}
