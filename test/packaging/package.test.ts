// What is in the tarball, and that two versions and TypeScript's strictest users get along with it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { join } from 'node:path'
import { root } from '../tree/sources.js'
import { assertRunsOnOldSystems, OLDEST_GLIBC, readElf } from './elf.js'
import { type Project, createProject, succeed } from './project.js'
import { saysWhy } from './says-why.js'
import { records, runProgram } from './smoke.js'

const MACHINES: Readonly<Record<string, string>> = { 'linux-x64': 'x86-64', 'linux-arm64': 'aarch64' }

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly version: string
}

describe('the package', () => {
  let project: Project
  before(() => { project = createProject() })
  after(() => project[Symbol.dispose]())

  const files = (): string[] => readdirSync(project.library, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(project.library.length + 1))

  test('holds the built forms, the prebuilt addon and the documents, and nothing else', () => {
    const allowed = /^(dist\/(esm|cjs)\/.*\.(js|cjs|d\.ts|d\.cts|js\.map)|dist\/cjs\/types\/package\.json|prebuilds\/linux-(x64|arm64)\/rpcool\.node|package\.json|README\.md|ARCHITECTURE\.md|docs\/(layout|seals)\.md|LICENSE)$/
    assert.deepEqual(files().filter((file) => !allowed.test(file)), [])
    for (const needed of ['dist/esm/index.js', 'dist/esm/index.d.ts', 'dist/cjs/index.cjs', 'dist/cjs/index.d.cts', 'prebuilds/linux-x64/rpcool.node', 'docs/layout.md', 'docs/seals.md']) {
      assert(files().includes(needed), `${needed} is missing`)
    }
  })

  test('needs no other package', () => {
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = manifest(project)
    assert.deepEqual({ ...dependencies, ...optionalDependencies, ...peerDependencies }, {})
    assert.deepEqual(readdirSync(join(project.folder, 'node_modules')).filter((name) => !name.startsWith('.')), ['rpcool'])
  })

  test('names no folder of the machine that built it', () => {
    const traces = files().filter((file) => readFileSync(join(project.library, file)).includes(root))
    assert.deepEqual(traces, [])
  })

  test(`the addon runs where glibc is ${OLDEST_GLIBC} and needs no C++ runtime`, () => {
    for (const platform of readdirSync(join(project.library, 'prebuilds'))) {
      const elf = readElf(readFileSync(join(project.library, 'prebuilds', platform, 'rpcool.node')))
      assert.equal(elf.machine, MACHINES[platform])
      assertRunsOnOldSystems(elf)
    }
  })

  test('two versions in one process work together, or one says clearly why not', async () => {
    const other = join(project.folder, 'other', 'node_modules', 'rpcool')
    cpSync(project.library, other, { recursive: true })
    writeFileSync(join(other, 'package.json'), JSON.stringify({ ...manifest(project), version: '0.0.1' }))
    const runtime = { name: 'this node', binary: process.execPath, options: [] }
    const { stdout, stderr, ending } = await runProgram(project, runtime, 'two-copies.mjs', [other])
    const [record] = records(stdout)
    assert(record !== undefined, `it ended with ${ending}: ${stderr}`)
    assert(record.works === true || saysWhy(record.error), record.stack ?? record.error)
  })

  test('its types serve ES module and CommonJS users under the strictest settings', () => {
    const folder = join(project.folder, 'types')
    cpSync(join(root, 'test', 'packaging', 'consumers'), folder, { recursive: true })
    mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true })
    for (const name of ['@types/node', 'undici-types']) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
      compilerOptions: {
        strict: true, module: 'NodeNext', target: 'ES2022', lib: ['ES2023', 'ESNext.Disposable'], types: ['node'], noEmit: true,
        skipLibCheck: false, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true,
      },
      files: ['esm.mts', 'cjs.cts'],
    }))
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    succeed(spawnSync(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' }), 'tsc')
  })

  // README promises TypeScript 5.2, which knows no typed array with a type argument (5.7 writes them where a type is inferred).
  test('its types can be read by old compilers', () => {
    const generic = /\b(Int|Uint|Float|Big\w+)\d+(Clamped)?Array</
    const declarations = files().filter((file) => /\.d\.c?ts$/.test(file))
    assert(declarations.length > 0)
    assert.deepEqual(declarations.filter((file) => generic.test(readFileSync(join(project.library, file), 'utf8'))), [])
  })
})

function manifest(project: Project): Manifest {
  return JSON.parse(readFileSync(join(project.library, 'package.json'), 'utf8')) as Manifest
}
