// Compiles native/*.cc into prebuilds/linux-<arch>/rpcool.node, without node-gyp.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SetupError, isMain, main, root, say } from './console.mjs'

// The gcc driver compiles .cc files as C++ and, unlike g++, links no libstdc++ (g++ 12 has no -nostdlib++).
const TOOLCHAINS = {
  x64: { crossPrefix: 'x86_64-linux-gnu-', crossPackage: 'g++-x86-64-linux-gnu' },
  arm64: { crossPrefix: 'aarch64-linux-gnu-', crossPackage: 'g++-aarch64-linux-gnu' },
}

const FLAGS = [
  '-std=c++17', '-O2', '-fPIC', '-shared', '-fno-exceptions', '-fno-rtti', '-fno-threadsafe-statics', '-fvisibility=hidden',
  '-Wall', '-Wextra', '-Werror', '-static-libgcc', '-DNAPI_VERSION=8', '-s', '-Wl,--build-id=none', '-Wl,-z,relro', '-Wl,-z,noexecstack',
]

const native = join(root, 'native')
const outputOf = (arch) => join(root, 'prebuilds', `linux-${arch}`, 'rpcool.node')
const recordOf = (arch) => `${outputOf(arch)}.hash`

/** Compiles the addon for one architecture unless the output was made from the same sources and flags. */
export function buildAddon(arch = process.arch) {
  const sources = listFiles(native).filter((file) => file.endsWith('.cc'))
  if (sources.length === 0) return say('native/ has no .cc file: no addon to compile')
  const toolchain = toolchainOf(arch)
  if (isCurrent(arch)) return undefined
  requireCompiler(arch, toolchain)
  say(`compiling the addon for linux-${arch}`)
  compile(arch, toolchain, sources)
  return undefined
}

/** Other architectures' outputs that older sources made would be packed as if they were current: rebuild or remove them. */
export function refreshOtherArchitectures() {
  for (const arch of Object.keys(TOOLCHAINS)) {
    if (arch === process.arch || !existsSync(outputOf(arch)) || isCurrent(arch)) continue
    if (commandExists(toolchainOf(arch).compiler)) buildAddon(arch)
    else {
      say(`removing the outdated prebuilds/linux-${arch}`)
      rmSync(join(root, 'prebuilds', `linux-${arch}`), { recursive: true })
    }
  }
}

function toolchainOf(arch) {
  const known = TOOLCHAINS[arch]
  if (known === undefined) throw new SetupError(`RPCool's addon is built for ${Object.keys(TOOLCHAINS).join(' and ')}, not for ${arch}.`)
  if (arch === process.arch) return { driver: 'gcc', compiler: 'g++', package: 'g++' }
  return { driver: `${known.crossPrefix}gcc`, compiler: `${known.crossPrefix}g++`, package: known.crossPackage }
}

function requireCompiler(arch, { compiler, driver, package: debian }) {
  if (commandExists(compiler) && commandExists(driver)) return
  throw new SetupError(`${compiler} was not found; it compiles the addon for linux-${arch}. On Debian and Ubuntu it is in the package `
    + `${debian}: sudo apt-get install -y ${debian}`)
}

function commandExists(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined
}

function compile(arch, { driver }, sources) {
  const output = outputOf(arch)
  const temporary = `${output}.${process.pid}.tmp`
  mkdirSync(join(output, '..'), { recursive: true })
  const include = ['-isystem', join(root, 'node_modules', 'node-api-headers', 'include'), '-I', native]
  const result = spawnSync(driver, [...FLAGS, ...include, '-o', temporary, ...sources], { cwd: root, encoding: 'utf8' })
  if (result.status !== 0) {
    rmSync(temporary, { force: true })
    throw new SetupError(`the addon does not compile:\n${result.stderr ?? String(result.error)}`)
  }
  // A process that has the old file mapped keeps it: the name changes over to the new file in one step.
  renameSync(temporary, output)
  writeFileSync(recordOf(arch), fingerprint(arch))
}

function isCurrent(arch) {
  return existsSync(outputOf(arch)) && existsSync(recordOf(arch)) && readFileSync(recordOf(arch), 'utf8') === fingerprint(arch)
}

function fingerprint(arch) {
  const hash = createHash('sha256').update(JSON.stringify([arch, FLAGS, toolchainOf(arch).driver]))
  hash.update(readFileSync(join(root, 'node_modules', 'node-api-headers', 'package.json')))
  for (const file of listFiles(native)) hash.update(`\0${file.slice(native.length)}\0`).update(readFileSync(file))
  return hash.digest('hex')
}

function listFiles(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(cc|h)$/.test(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()
}

if (isMain(import.meta.url)) {
  await main(() => {
    const at = process.argv.indexOf('--arch')
    buildAddon(at === -1 ? process.arch : process.argv[at + 1])
  })
}
