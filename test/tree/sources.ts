// Reads the repository's own files for the tidy tests: what git tracks, and what it would track.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Paths, relative to the root, of the files git tracks or would track that exist in the working tree. */
export function workingFiles(): string[] {
  return git('ls-files', '-z', '--cached', '--others', '--exclude-standard').filter((path) => existsSync(root + path))
}

/** Paths in git's index. */
export function indexedFiles(): string[] {
  return git('ls-files', '-z', '--cached')
}

function git(...args: string[]): string[] {
  const output = execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 })
  return [...new Set(output.split('\0').filter((path) => path !== ''))]
}

export function read(path: string): string {
  return readFileSync(root + path, 'utf8')
}

export interface Import {
  readonly from: string
  readonly specifier: string
  /** The imported file's path in the repository, for a relative specifier. */
  readonly target: string | undefined
}

const IMPORT_FORMS = [
  /\b(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/g,
  /\bimport\s*['"]([^'"]+)['"]/g,
  /\b(?:import|require|require\.resolve)\s*\(\s*['"]([^'"]+)['"]/g,
  /\bnew\s+URL\s*\(\s*['"]([^'"]+)['"]/g,
]

/** Everything a TypeScript file imports, types and dynamic imports included. */
export function importsOf(path: string): Import[] {
  const code = withoutComments(read(path))
  const specifiers = IMPORT_FORMS.flatMap((form) => [...code.matchAll(form)].map((match) => match[1] ?? ''))
  return [...new Set(specifiers)].map((specifier) => ({ from: path, specifier, target: resolve(path, specifier) }))
}

function resolve(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, '.ts')
}

/** The code with comments blanked out; strings and line numbers stay. */
export function withoutComments(code: string): string {
  const tokens = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g
  return code.replace(tokens, (token) => (/^\/[/*]/.test(token) ? token.replace(/[^\n]/g, ' ') : token))
}

/** Fails with all findings at once: a reader wants the whole list, not the first. */
export function assertNone(findings: readonly string[], rule: string): void {
  if (findings.length > 0) throw new Error(`${rule}\n${findings.map((finding) => `  ${finding}`).join('\n')}`)
}
