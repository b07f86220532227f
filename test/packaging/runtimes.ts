// The JavaScript runtimes of test/packaging/runtimes, and how each is started on a file.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from '../tree/sources.js'

export interface Runtime {
  readonly name: string
  readonly binary: string
  readonly options: readonly string[]
}

const folder = join(root, 'test', 'packaging', 'runtimes', 'node_modules')
const node = (major: number): Runtime => ({ name: `node${major}`, binary: join(folder, `node${major}`, 'bin', 'node'), options: [] })

export const RUNTIMES: readonly Runtime[] = [
  node(20),
  node(22),
  node(24),
  node(26),
  { name: 'bun', binary: join(folder, '@oven', 'bun-linux-x64', 'bin', 'bun'), options: [] },
  { name: 'deno', binary: join(folder, '@deno', 'linux-x64-glibc', 'deno'), options: ['run', '-A', '--quiet'] },
]

/** What a runtime says of itself, to show that it is the one it is taken for. */
export function versionOf({ binary }: Runtime): string {
  return execFileSync(binary, ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? ''
}
