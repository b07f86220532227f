// The tree's layers: a file imports from its own folder and from the layers listed for it, nothing else.
import { test } from 'node:test'
import { builtinModules } from 'node:module'
import { type Import, assertNone, importsOf, read, withoutComments, workingFiles } from './sources.js'

const BELOW: Readonly<Record<string, readonly string[]>> = {
  base: [],
  sys: ['base'],
  layout: ['base'],
  memory: ['base', 'sys', 'layout'],
  objects: ['base', 'layout', 'memory'],
  control: ['base', 'sys', 'layout', 'memory'],
  safety: ['base', 'sys', 'layout', 'memory', 'objects', 'control'],
  link: ['base', 'sys', 'layout', 'memory', 'objects', 'control', 'safety'],
  calls: ['base', 'sys', 'layout', 'memory', 'objects', 'control', 'safety', 'link'],
  cli: ['base', 'sys', 'layout', 'memory', 'objects', 'control', 'safety', 'link', 'calls'],
}

const sources = workingFiles().filter((path) => /^src\/.*\.ts$/.test(path))
const programs = workingFiles().filter((path) => /^(apps|examples)\/.*\.ts$/.test(path))

test('every file of src/ lies in a known layer', () => {
  const strangers = sources.filter((path) => path !== 'src/index.ts' && BELOW[layerOf(path)] === undefined)
  assertNone(strangers, `src/ holds index.ts and the folders ${Object.keys(BELOW).join(', ')}:`)
})

test('a file of src/ imports only from its own layer and from layers below', () => {
  const findings = sources.flatMap(importsOf).filter((edge) => !mayImport(edge)).map(show)
  assertNone(findings, 'imports that point up or outside (the order is in test/tree/layers.test.ts):')
})

/** Packages that users install only for what needs them; loaded there, on first use, and missed by name. */
const OPTIONAL: Readonly<Record<string, string>> = { 'src/safety/sandbox/wasm/prepare.ts': 'binaryen' }

test('src/ needs nothing but Node: no npm package is imported', () => {
  const findings = sources.flatMap(importsOf).filter(({ from, specifier, target }) =>
    target === undefined && !isBuiltin(specifier) && OPTIONAL[from] !== specifier)
  assertNone(findings.map(show), 'the library has no runtime dependencies, and names built-ins with node: :')
})

test('only src/sys loads the addon', () => {
  const loads = /\bdlopen\b|\bcreateRequire\b|['"`/]prebuilds\b|\.node['"`]/
  const findings = sources.filter((path) => !path.startsWith('src/sys/') && loads.test(withoutComments(read(path))))
  assertNone(findings, 'these load native code by themselves:')
})

test('apps/ and examples/ import only rpcool, Node and npm packages', () => {
  const own = /^(apps\/[^/]+|examples)\//
  const findings = programs.flatMap(importsOf).filter(({ from, specifier, target }) => {
    if (target !== undefined) return !target.startsWith(own.exec(from)?.[0] ?? 'apps/')
    return specifier.startsWith('rpcool/') || specifier.startsWith('#') || specifier.startsWith('/')
  })
  assertNone(findings.map(show), 'programs use the public surface, as users do:')
})

test('src/ has no dependency cycle', () => {
  const cycle = findCycle(new Map(sources.map((path) => [path, targetsOf(path)])))
  assertNone(cycle, 'these files import each other in a circle:')
})

function layerOf(path: string): string {
  return path.split('/')[1] ?? ''
}

function mayImport({ from, target }: Import): boolean {
  if (target === undefined) return true
  if (!target.startsWith('src/') || target === 'src/index.ts') return false
  if (from === 'src/index.ts') return true
  const layer = layerOf(from)
  return layerOf(target) === layer || (BELOW[layer]?.includes(layerOf(target)) ?? false)
}

function isBuiltin(specifier: string): boolean {
  return specifier.startsWith('node:') && builtinModules.includes(specifier.slice('node:'.length))
}

function targetsOf(path: string): string[] {
  return importsOf(path).flatMap(({ target }) => target ?? [])
}

function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const finished = new Set<string>()
  const path: string[] = []
  const visit = (node: string): string[] => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node]
    if (finished.has(node)) return []
    path.push(node)
    for (const target of graph.get(node) ?? []) {
      const cycle = visit(target)
      if (cycle.length > 0) return cycle
    }
    path.pop()
    finished.add(node)
    return []
  }
  for (const node of graph.keys()) {
    const cycle = visit(node)
    if (cycle.length > 0) return cycle
  }
  return []
}

function show({ from, specifier }: Import): string {
  return `${from} imports ${specifier}`
}
