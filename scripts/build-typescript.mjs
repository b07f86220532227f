// Compiles TypeScript, and makes the CommonJS form of the package from the compiled ES modules.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { SetupError, root, say } from './console.mjs'

const esm = join(root, 'dist', 'esm')
const cjs = join(root, 'dist', 'cjs')

/** `tsc -b`, after removing what sources that no longer exist once compiled to (a deleted test must not run). */
export function compileTypeScript() {
  removeOrphans(esm, join(root, 'src'))
  for (const folder of ['test', 'bench', 'apps', 'examples']) removeOrphans(join(root, 'build', folder), join(root, folder))
  const result = spawnSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b', '--pretty', 'false'],
    { cwd: root, encoding: 'utf8' })
  if (result.status !== 0) throw new SetupError(`TypeScript does not compile:\n${result.stdout}${result.stderr}`.trimEnd())
  linkSources()
}

/** Tests import ../../src/x.js; compiled into build/, the same path must lead to the compiled sources. */
function linkSources() {
  const link = join(root, 'build', 'src')
  if (existsSync(link)) return
  mkdirSync(dirname(link), { recursive: true })
  rmSync(link, { force: true })
  symlinkSync(relative(dirname(link), esm), link)
}

function removeOrphans(compiled, sources) {
  for (const file of filesBelow(compiled)) {
    const source = file.replace(/\.(d\.ts|js)(\.map)?$/, '.ts')
    if (source === file || existsSync(join(sources, source))) continue
    rmSync(join(compiled, file))
    // The incremental record would claim that the output still exists.
    rmSync(join(esm, '.tsbuildinfo'), { force: true })
    rmSync(join(root, 'build', '.tsbuildinfo'), { force: true })
  }
}

/** dist/cjs: one bundled file, and the declarations again in a folder that says they describe CommonJS. */
export async function makeCommonJs() {
  const entry = join(esm, 'index.js')
  if (!existsSync(entry)) return say('src/index.ts is missing: no CommonJS form to make')
  const output = join(cjs, 'index.cjs')
  const newest = Math.max(...filesBelow(esm).map((file) => statSync(join(esm, file)).mtimeMs), statSync(fileURLToPath(import.meta.url)).mtimeMs)
  if (existsSync(output) && statSync(output).mtimeMs > newest) return undefined
  say('making the CommonJS form')
  rmSync(cjs, { recursive: true, force: true })
  makeCommonJsTypes()
  await bundle(entry, output)
  return undefined
}

async function bundle(entry, output) {
  const esbuild = await import(pathToFileURL(join(root, 'node_modules', 'esbuild', 'lib', 'main.js')).href)
  const temporary = `${output}.tmp`
  const result = await esbuild.default.build({
    entryPoints: [entry],
    outfile: temporary,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    packages: 'external',
    external: ['*.node'],
    // Code finds its own files through import.meta; the answers must be those of the bundled file.
    define: { 'import.meta.url': '__rpcoolModuleUrl', 'import.meta.filename': '__filename', 'import.meta.dirname': '__dirname' },
    banner: { js: '"use strict";\nconst __rpcoolModuleUrl = require("node:url").pathToFileURL(__filename).href;' },
    logLevel: 'silent',
  }).catch((error) => {
    throw new SetupError(`the CommonJS form cannot be made: ${error.message}`)
  })
  if (result.warnings.length > 0) {
    throw new SetupError(`the CommonJS form cannot be made:\n${result.warnings.map((warning) => warning.text).join('\n')}`)
  }
  renameSync(temporary, output)
}

function makeCommonJsTypes() {
  for (const file of filesBelow(esm).filter((name) => name.endsWith('.d.ts'))) {
    const target = join(cjs, 'types', file)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, readFileSync(join(esm, file), 'utf8').replace(/\n?\/\/# sourceMappingURL=.*\n?$/, '\n'))
  }
  writeFileSync(join(cjs, 'types', 'package.json'), '{ "type": "commonjs" }\n')
  writeFileSync(join(cjs, 'index.d.cts'), "export * from './types/index.js'\n")
}

function filesBelow(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
}
