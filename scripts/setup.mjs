// Sets up a fresh clone: packages, addon, TypeScript, CommonJS form. Does only what is not up to date.
// Node built-ins only: this runs when nothing is installed.
//   node scripts/setup.mjs [--arch arm64] [--runtimes]
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SetupError, isMain, main, root, say } from './console.mjs'
import { acquireLock } from './lock.mjs'
import { installPackages } from './install.mjs'

const OLDEST_NODE = 20

/**
 * Brings the whole tree up to date; two set-ups at once take turns.
 * `arch` adds the addon for another architecture, `runtimes` the other JavaScript runtimes that test/packaging uses.
 */
export async function setUp({ arch = process.arch, runtimes = false } = {}) {
  checkMachine()
  const release = await acquireLock(join(root, 'build', '.setup-lock'), (pid) => say(`waiting for another set-up (process ${pid})`))
  try {
    installPackages(root, 'packages')
    if (runtimes) installPackages(join(root, 'test', 'packaging', 'runtimes'), 'other JavaScript runtimes (some 900 MB)')
    const addon = await import('./build-addon.mjs')
    addon.buildAddon()
    if (arch !== process.arch) addon.buildAddon(arch)
    addon.refreshOtherArchitectures()
    const typescript = await import('./build-typescript.mjs')
    typescript.compileTypeScript()
    await typescript.makeCommonJs()
  } finally {
    release()
  }
}

function checkMachine() {
  if (process.platform !== 'linux') {
    throw new SetupError(`RPCool needs Linux (memfd, userfaultfd, pidfd); this is ${process.platform}. Use a Linux machine, container or virtual machine.`)
  }
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    throw new SetupError(`RPCool needs Node.js ${OLDEST_NODE} or newer; this is ${process.versions.node}. Install a newer one and run the command again.`)
  }
  if (!existsSync(join(root, 'package-lock.json'))) {
    throw new SetupError('package-lock.json is missing: restore it with `git checkout package-lock.json`.')
  }
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const at = process.argv.indexOf('--arch')
    await setUp({ arch: at === -1 ? process.arch : process.argv[at + 1], runtimes: process.argv.includes('--runtimes') })
  })
}
