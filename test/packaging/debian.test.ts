// The script that sees to Debian packages: what is there, what root installs, and what it says to everybody else.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../tree/sources.js'

const script = join(root, 'scripts', 'debian.mjs')
const DEBIAN = existsSync('/usr/bin/dpkg-query') && existsSync('/usr/bin/apt-get')
const MISSING = 'rpcool-no-such-package'

/** Runs the script where `apt-get` notes what it is asked for, and installs nothing. */
function runScript(names: readonly string[], user?: number): { readonly status: number | null, readonly stderr: string, readonly asked: string } {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-debian-'))
  try {
    const note = join(folder, 'asked')
    writeFileSync(join(folder, 'apt-get'), `#!/bin/sh\n[ "$1" = --version ] || echo "$@" >> ${note}\n`, { mode: 0o755 })
    const { status, stderr } = spawnSync(process.execPath, [script, ...names], {
      encoding: 'utf8', env: { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}` }, ...(user === undefined ? {} : { uid: user }), timeout: 60_000,
    })
    return { status, stderr, asked: existsSync(note) ? readFileSync(note, 'utf8') : '' }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('a package that is there is left alone; without a name it says how it is used', { skip: !DEBIAN }, () => {
  assert.deepEqual(runScript(['dpkg']), { status: 0, stderr: '', asked: '' })
  assert.match(runScript([]).stderr, /say which packages/)
})

test('root installs what is missing; others are told the command', { skip: !DEBIAN || process.geteuid?.() !== 0 }, () => {
  const { status, asked } = runScript(['dpkg', MISSING])
  assert.equal(status, 0)
  assert.match(asked, new RegExp(`-q install -y --no-install-recommends ${MISSING}\\n$`))
  const { stderr } = runScript([MISSING], 65_534)
  assert.match(stderr, new RegExp(`Install them with: sudo apt-get install -y --no-install-recommends ${MISSING}`))
})
