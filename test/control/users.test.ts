// Whom a process trusts, and whom services serve, beyond their own user.
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connectOrStart } from '../../src/control/place/launch.js'
import { daemonSocket, openRuntimeDirectory, runtimeDirectory } from '../../src/control/place/runtime-directory.js'
import { listenInDirectory, namedUsers, openToOthers, requireReachable, trustedOwner, userId } from '../../src/control/place/users.js'
import { addon } from '../../src/sys/index.js'
import { errorOf } from '../support/ground.js'

const isRoot = userId() === 0
const OTHER = 65534
let folder = ''

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'rpcool-users-'))
})
after(() => rmSync(folder, { recursive: true }))

function directory(name: string, mode: number, owner = userId()): string {
  const path = join(folder, name)
  mkdirSync(path)
  chmodSync(path, mode)
  if (owner !== userId()) chownSync(path, owner, owner)
  return path
}

test('the trusted owner and the served users are numbers, or refused', async () => {
  assert.equal(trustedOwner({}), userId())
  assert.equal(trustedOwner({ RPCOOL_RUNTIME_OWNER: '' }), userId())
  assert.equal(trustedOwner({ RPCOOL_RUNTIME_OWNER: '12' }), 12)
  assert.deepEqual([...namedUsers({})], [])
  assert.deepEqual([...namedUsers({ RPCOOL_USERS: '1,65533' })], [1, 65533])
  for (const text of ['root', '-1', '1.5', '4294967295', ' 1']) {
    assert.match((await errorOf(() => trustedOwner({ RPCOOL_RUNTIME_OWNER: text }))).message, /INVALID_ARGUMENT.*RPCOOL_RUNTIME_OWNER names users by number/)
    assert.equal((await errorOf(() => namedUsers({ RPCOOL_USERS: `1,${text}` }))).code, 'INVALID_ARGUMENT')
  }
})

test('the directory of another owner is looked for where that owner has it, never in this user\'s session', () => {
  const session = { XDG_RUNTIME_DIR: folder }
  assert.equal(runtimeDirectory(session), join(folder, 'rpcool'))
  assert.equal(runtimeDirectory({ ...session, RPCOOL_RUNTIME_OWNER: '4711' }), '/tmp/rpcool-4711')
  assert.equal(runtimeDirectory({ RPCOOL_RUNTIME_DIR: '/srv/rpcool', RPCOOL_RUNTIME_OWNER: '4711' }), '/srv/rpcool')
})

test('another owner\'s directory must be there, that owner\'s, and nobody else\'s to write to', async () => {
  const message = async (path: string, owner: number): Promise<string> => (await errorOf(() => openRuntimeDirectory(path, owner))).message
  const absent = join(folder, 'absent')
  assert.match(await message(absent, userId() + 1), /FAILED_PRECONDITION.*is not there, or cannot be reached: user/)
  assert.throws(() => statSync(absent), { code: 'ENOENT' })
  assert.match(await message(directory('mine', 0o700), userId() + 1), /FAILED_PRECONDITION.*belongs to user.*RPCOOL_RUNTIME_OWNER/)
  if (!isRoot) return
  openRuntimeDirectory(directory('theirs', 0o711, OTHER), OTHER)
  for (const mode of [0o731, 0o713, 0o777, 0o1777]) assert.match(await message(directory(`writable ${mode}`, mode, OTHER), OTHER), /can be written by others/)
  writeFileSync(join(folder, 'file'), '')
  assert.match(await message(join(folder, 'file'), OTHER), /is not a directory/)
})

test('whoever answers in a trusted owner\'s directory must be that owner', { skip: isRoot ? false : 'only root can make another user\'s directory' }, async () => {
  const theirs = directory('answered by us', 0o711, OTHER)
  const listener = listenInDirectory(theirs, daemonSocket(theirs), 1)
  process.env['RPCOOL_RUNTIME_OWNER'] = String(OTHER)
  try {
    const error = await errorOf(connectOrStart(theirs, () => 1000))
    assert.match(error.message, /PERMISSION_DENIED.*belongs to user 0, not to user 65534, whom this process trusts/)
    addon.closeFd(listener)
    rmSync(daemonSocket(theirs))
    // And nobody starts another owner's service.
    assert.match((await errorOf(connectOrStart(theirs, () => 0))).message, /UNAVAILABLE.*nobody listens.*user 65534 must start it/)
    assert.throws(() => statSync(daemonSocket(theirs)), { code: 'ENOENT' })
  } finally {
    delete process.env['RPCOOL_RUNTIME_OWNER']
  }
})

test('the sockets of a directory that is open to others are everybody\'s to connect to; of a closed one they are not', () => {
  const mode = (path: string): number => statSync(path).mode & 0o777
  const closed = directory('closed', 0o700)
  const socket = daemonSocket(closed)
  const first = listenInDirectory(closed, socket, 1)
  assert.notEqual(mode(socket) & 0o002, 0o002)
  openToOthers(closed, [socket, join(closed, 'sealer.sock')])
  assert.deepEqual([mode(closed), mode(socket)], [0o711, 0o666])
  const second = listenInDirectory(closed, join(closed, 'later.sock'), 1)
  assert.equal(mode(join(closed, 'later.sock')), 0o666)
  for (const fd of [first, second]) addon.closeFd(fd)
})

test('a directory that a user cannot reach is named, with the folder that is in the way', async () => {
  const way = directory('way', 0o700)
  const inner = join(way, 'run')
  mkdirSync(inner, { mode: 0o711 })
  chmodSync(folder, 0o711)
  const other = userId() + 1
  assert.match((await errorOf(() => requireReachable(inner, other))).message, new RegExp(`FAILED_PRECONDITION.*user ${other} cannot enter ${way},`))
  chmodSync(way, 0o711)
  requireReachable(inner, other)
})
