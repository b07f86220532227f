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

/** Reads a clock, makes a timer or a random number, touches the process, or waits. */
const IMPURE = /\b(performance|Date|process|globalThis)\b\s*\.|\bMath\s*\.\s*random\b|\b(queueMicrotask|set(Timeout|Interval|Immediate))\s*\(|\bnew\s+Date\b|\bawait\s|\basync\b/

test('the orchestrator is a pure state machine: no socket, timer, clock, file or chance, nor anything that leads there', () => {
  const machine = sources.filter((path) => path.startsWith('src/control/orchestrator/'))
  const reached = new Map(machine.map((path) => [path, importsOfValues(path)]))
  for (const imports of reached.values()) {
    for (const { target } of imports) if (target !== undefined) reached.set(target, importsOfValues(target))
  }
  const findings = [...reached].flatMap(([path, imports]) => [
    ...imports.filter(({ target }) => target === undefined).map(show),
    ...(IMPURE.exec(withoutComments(read(path))) ?? []).slice(0, 1).map((word) => `${path} says ${word}`),
  ])
  assertNone(machine.length > 5 ? findings : ['its files were not found'], 'what the orchestrator needs of the world is passed in:')
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

/** Without what is imported for its type alone, of which nothing is left when the program runs. */
function importsOfValues(path: string): Import[] {
  const types = new Set([...withoutComments(read(path)).matchAll(/\b(?:import|export)\s+type\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/g)].map(([, specifier]) => specifier))
  return importsOf(path).filter(({ specifier }) => !types.has(specifier))
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
