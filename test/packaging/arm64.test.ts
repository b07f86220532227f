// The addon for the other processor: nobody runs it here, but it must compile, and ask of its system no more than the one that runs.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, cpSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { before, test } from 'node:test'
import { root } from '../tree/sources.js'
import { assertRunsOnOldSystems, readElf } from './elf.js'
import { succeed } from './project.js'

const PACKAGE = 'g++-aarch64-linux-gnu'
const isThere = (): boolean => (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'aarch64-linux-gnu-g++')))
const installs = process.geteuid?.() === 0 && existsSync('/usr/bin/apt-get')
const skip = process.arch === 'x64' && (isThere() || installs) ? false : `only on x64, with ${PACKAGE}, which root installs`

/** Builds in a tree of its own: what lies in prebuilds/ of this one is packed. Gives the addon's bytes, or what the script said. */
function build(path = process.env['PATH']): Buffer | string {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-arm64-'))
  try {
    for (const part of ['native', 'scripts']) cpSync(join(root, part), join(folder, part), { recursive: true })
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(join(root, 'node_modules', 'node-api-headers'), join(folder, 'node_modules', 'node-api-headers'))
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'scripts', 'build-addon.mjs'), '--arch', 'arm64'], { env: { ...process.env, PATH: path }, encoding: 'utf8' })
    return status === 0 ? readFileSync(join(folder, 'prebuilds', 'linux-arm64', 'rpcool.node')) : stderr
  } finally {
    rmSync(folder, { recursive: true })
  }
}

before(() => {
  if (skip === false && !isThere()) succeed(spawnSync(process.execPath, [join(root, 'scripts', 'debian.mjs'), PACKAGE], { encoding: 'utf8' }), `the installation of ${PACKAGE}`)
})

test('the addon compiles for arm64, for the same old systems', { skip }, () => {
  const made = build()
  assert.ok(typeof made !== 'string', String(made))
  const elf = readElf(made)
  assert.equal(elf.machine, 'aarch64')
  assertRunsOnOldSystems(elf)
})

test('without the compiler it is said which package has it', { skip: process.arch !== 'x64' }, () => {
  assert.match(String(build('/nowhere')), new RegExp(`^aarch64-linux-gnu-g\\+\\+ was not found; .* sudo apt-get install -y ${PACKAGE.replaceAll('+', '\\+')}\\s*$`))
})
