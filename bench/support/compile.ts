import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const FLAGS = ['-x', 'c', '-std=c11', '-O2', '-Wall', '-Wextra']

const CPP_FLAGS = ['-std=c++17', '-O2', '-Wall', '-Wextra']

/** g++ compiles C when told to, and is the one compiler that the project asks for. */
const COMPILERS = ['gcc', 'g++', 'cc']

/** The repository: the nearest folder above this file that holds bench/limits, built or not. */
function repository(): string {
  let directory = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(directory, 'bench', 'limits'))) {
    const parent = dirname(directory)
    if (parent === directory) throw new Error('bench/limits is not above this file: run from the repository')
    directory = parent
  }
  return directory
}

/** The path of the compiled bench/limits/`name`.c. */
export function compiledLimit(name: string): Promise<string> {
  return compiledProgram('bench/limits', name)
}

/** The path of the compiled bench/limits/`name`.cpp, linked with a library; undefined on a machine where that is not installed. */
export async function compiledWithLibrary(name: string, library: string): Promise<string | undefined> {
  try {
    return await compiledFrom('bench/limits', `${name}.cpp`, CPP_FLAGS, [`-l${library}`])
  } catch (error) {
    if (error instanceof Error && /No such file or directory|cannot find -l/.test(error.message)) return undefined
    throw error
  }
}

/** Compilations begun by this process: two at once write files of their own. */
let partials = 0

/**
 * The path of the compiled `folder`/`name`.c. Compiled once per content of the program and the folder's headers, flags included;
 * several processes may ask at once.
 */
export function compiledProgram(folder: string, name: string): Promise<string> {
  return compiledFrom(folder, `${name}.c`, FLAGS, [])
}

async function compiledFrom(folder: string, source: string, flags: readonly string[], libraries: readonly string[]): Promise<string> {
  const root = repository()
  const sources = join(root, folder)
  const hash = createHash('sha256').update([...flags, ...libraries].join(' '))
  for (const file of readdirSync(sources).sort()) {
    if (file === source || file.endsWith('.h')) hash.update(readFileSync(join(sources, file)))
  }
  const directory = join(root, 'build', 'limits')
  const target = join(directory, `${source.replace(/\.[a-z]+$/, '')}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(target)) return target
  mkdirSync(directory, { recursive: true })
  const partial = `${target}.${String(process.pid)}.${String(++partials)}`
  try {
    await compile([...flags, join(sources, source), '-o', partial, ...libraries])
    renameSync(partial, target)
  } finally {
    rmSync(partial, { force: true })
  }
  return target
}

async function compile(given: readonly string[]): Promise<void> {
  const run = promisify(execFile)
  const compilers = given.some((argument) => argument.endsWith('.cpp')) ? ['g++'] : COMPILERS
  for (const compiler of compilers) {
    try {
      await run(compiler, given)
      return
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  throw new Error(`no C compiler found (${compilers.join(', ')}): install the Debian package g++`)
}
