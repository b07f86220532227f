// What a program under "rpcool run" finds of its launcher: a terminal that it cannot type into, and as another user neither keys nor secrets.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { accountOf, environmentFor, groupOf } from '../../../src/cli/environment.js'
import { DaemonClient, runtimeDirectory } from '../../../src/control/index.js'
import { packageRoot } from '../../../src/sys/index.js'
import { ATTACKER_UID, isRoot } from '../seals/attack.js'

const EPERM = 1
const ENOTTY = 25
const EAFNOSUPPORT = 97
const ENOKEY = 126
const cli = join(packageRoot(), 'dist', 'esm', 'cli', 'rpcool.js')
let folder = ''
let binary = ''

before(async () => {
  await DaemonClient.shared().connect()
  chmodSync(dirname(runtimeDirectory()), 0o711)
  folder = mkdtempSync(join(tmpdir(), 'rpcool-inherit-'))
  chmodSync(folder, 0o755)
  binary = join(folder, 'inheriting')
  execFileSync('gcc', ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-o', binary, fileURLToPath(new URL('../../../../test/hostile/confined/inheriting.c', import.meta.url)), '-lutil'])
})
after(() => rmSync(folder, { recursive: true, force: true }))

interface Found {
  /** By what it tried: the errno in its way. */
  readonly errors: Readonly<Record<string, number>>
  readonly environment: ReadonlyMap<string, string>
}

/** What the program says, started by the command of its launcher, if any. */
async function found(...launcher: readonly string[]): Promise<Found> {
  const { stdout } = await promisify(execFile)(binary, ['give', ...launcher, binary, 'take'], { env: { ...process.env, API_TOKEN: 'secret', OTHER_TOKEN: 'another', HOME: '/root' } })
  const lines = stdout.split('\n').map((line) => line.trim())
  const variables = lines.flatMap((line) => (line.startsWith('environment ') ? [line.slice(12)] : []))
  return {
    errors: Object.fromEntries(lines.map((line) => /^([\w-]+) (\d+)$/.exec(line)).filter((said) => said !== null).map(([, name, errno]) => [name!, Number(errno)])),
    environment: new Map(variables.map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)])),
  }
}

const run = (...options: readonly string[]): Promise<Found> => found(process.execPath, cli, 'run', '--heap', '65536', '--heaps', '1', ...options, '--')
const REFUSED = { 'TIOCSTI': EPERM, 'TIOCSTI-high': EPERM, 'TIOCLINUX': EPERM, 'AF_XDP': EAFNOSUPPORT, 'TCP_ULP': EPERM, 'TCP_NODELAY': 0 }

test('without a launcher the program reads the key and the environment, and nothing but the kernel\'s own settings keeps it from typing', async () => {
  const { errors, environment } = await found()
  assert.notEqual(errors['TIOCSTI'], EPERM)
  assert.notEqual(errors['TIOCSTI-high'], EPERM)
  assert.equal(errors['TIOCLINUX'], ENOTTY)
  assert.notEqual(errors['TCP_ULP'], EPERM)
  assert.equal(errors['key'], 0)
  assert.equal(environment.get('API_TOKEN'), 'secret')
})

test('under "rpcool run" nothing is typed into the terminal; what the program inherits is its own user\'s', async () => {
  const { errors, environment } = await run()
  assert.deepEqual(errors, { ...REFUSED, key: 0 })
  assert.equal(environment.get('API_TOKEN'), 'secret')
  assert.equal(environment.get('HOME'), '/root')
})

test('another user\'s program gets no secret of its launcher\'s user, but what is named', { skip: isRoot ? false : 'only root can become other users' }, async () => {
  const { errors, environment } = await run('--user', String(ATTACKER_UID), '--keep-env', 'OTHER_TOKEN')
  assert.deepEqual(errors, { ...REFUSED, key: ENOKEY })
  assert.equal(environment.get('API_TOKEN'), undefined)
  assert.equal(environment.get('OTHER_TOKEN'), 'another')
  assert.equal(environment.get('PATH'), process.env['PATH'])
  assert.equal(environment.get('RPCOOL_RUNTIME_DIR'), runtimeDirectory())
  assert.notEqual(environment.get('HOME'), '/root')
})

test('what is kept of an environment, and whose name and home come in its place', () => {
  const accounts = 'root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000:Ada:/srv/ada:/bin/zsh\nbare:x:12:34:::\n'
  const environment = {
    PATH: '/bin', LANG: 'C', LC_ALL: 'C', NODE_OPTIONS: '--no-warnings', RPCOOL_DEBUG: 'heap', NODE_AUTH_TOKEN: 'secret', AWS_SECRET: 'secret', SSH_AUTH_SOCK: '/run/agent',
    XDG_RUNTIME_DIR: '/run/user/0', HOME: '/root', USER: 'root', LOGNAME: 'root', SHELL: '/bin/sh', MAIL: '/var/mail/root',
  }
  const kept = { PATH: '/bin', LANG: 'C', LC_ALL: 'C', NODE_OPTIONS: '--no-warnings', RPCOOL_DEBUG: 'heap' }
  assert.deepEqual(environmentFor(accountOf(1000, accounts), environment, []), { ...kept, HOME: '/srv/ada', USER: 'ada', LOGNAME: 'ada', SHELL: '/bin/zsh' })
  assert.deepEqual(environmentFor(accountOf(12, accounts), environment, ['MAIL']), { ...kept, HOME: '/', USER: 'bare', LOGNAME: 'bare', SHELL: undefined, MAIL: '/var/mail/root' })
  assert.deepEqual(environmentFor(accountOf(4711, accounts), environment, []), { ...kept, HOME: '/', USER: undefined, LOGNAME: undefined, SHELL: undefined })
  assert.deepEqual([1000, 12, 4711].map((user) => groupOf(accountOf(user, accounts))), [1000, 34, undefined])
})
