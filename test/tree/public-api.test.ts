// Everything that src/index.ts offers is documented where it is declared.
import { test } from 'node:test'
import { posix } from 'node:path'
import { assertNone, read, withoutComments } from './sources.js'

const INDEX = 'src/index.ts'

test('every public name has a docstring at its declaration', () => {
  const undocumented = exportsOf(INDEX).filter(({ path, name }) => !isDocumented(path, name))
  assertNone(undocumented.map(({ path, name }) => `${name} (${path})`), 'public without a docstring:')
})

test('the public surface is a list of names', () => {
  const stars = read(INDEX).split('\n').filter((line) => /^export\s+(type\s+)?\*/.test(line))
  assertNone(stars, 'src/index.ts names what is public, so that nothing becomes public by accident:')
})

interface Exported {
  readonly path: string
  readonly name: string
}

/** The declarations behind `export { a, b as c } from './x.js'`, followed to the file that declares them. */
function exportsOf(path: string): Exported[] {
  const code = withoutComments(read(path))
  const lists = [...code.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}(?:\s*from\s*['"]([^'"]+)['"])?/gm)]
  const listed = lists.flatMap(([, names = '', specifier]) => names.split(',').map((entry) => originOf(path, entry, specifier)))
  const declared = [...code.matchAll(/^export\s+(?:declare\s+|abstract\s+|async\s+)*(?:function\*?|const|let|class|interface|type|enum)\s+([\w$]+)/gm)]
  return [...listed.filter((entry) => entry !== undefined), ...declared.map(([, name = '']) => ({ path, name }))]
}

function originOf(path: string, entry: string, specifier: string | undefined): Exported | undefined {
  const name = entry.trim().replace(/^type\s+/, '').split(/\s+as\s+/)[0] ?? ''
  if (name === '') return undefined
  if (specifier === undefined) return { path, name }
  const target = posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts')
  const relay = exportsOf(target).find((candidate) => candidate.name === name)
  return relay ?? { path: target, name }
}

function isDocumented(path: string, name: string): boolean {
  const code = read(path)
  const declaration = new RegExp(
    `^(?:export\\s+)?(?:declare\\s+|abstract\\s+|async\\s+)*(?:function\\*?|const|let|class|interface|type|enum)\\s+${name.replaceAll('$', '\\$')}(?![\\w$])`, 'gm')
  return [...code.matchAll(declaration)].some(({ index }) => /\/\*\*(?:(?!\*\/)[\s\S])+\*\/\s*$/.test(code.slice(0, index)))
}
