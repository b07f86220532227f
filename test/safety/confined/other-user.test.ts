// Programs under "rpcool run --user": of another user than server, sealer and daemon, so that their seals are enforced without exceptions.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { before, suite, test } from 'node:test'
import { DaemonClient, runtimeDirectory } from '../../../src/control/index.js'
import { connect, serve } from '../../../src/index.js'
import { Commanded } from '../../support/ground.js'
import { Launched, LAUNCHED_MAIN, RPCOOL } from '../../support/launched.js'
import { SealedService } from '../../support/sealed-service.js'
import { serviceProcess } from '../seals/services.js'
import { connectAgain, launch, local, until } from './ground.js'

const USER = 65534
/** The second one that the daemon serves, because its owner says so. */
const NAMED_USER = 65533
const SMALL = ['--user', String(USER), '--heap', '262144', '--heaps', '2']

before(() => {
  // Read by the daemon and the sealer when they start.
  process.env['RPCOOL_USERS'] = String(NAMED_USER)
})

suite('another user\'s programs', { skip: process.geteuid?.() === 0 ? false : 'only root can become other users' }, () => {
  before(async () => {
    await DaemonClient.shared().connect()
    // The folder above it is this test's, and closed.
    chmodSync(dirname(runtimeDirectory()), 0o711)
  })

  test('the program has its user\'s own group and no other; who has no account, and none of the group of that number, has nobody\'s', () => {
    const accounts = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'))
    // On Debian, group 42 may read /etc/shadow, and user 42 is another one's.
    const [, , user = '', group = ''] = accounts.find(([, , uid, gid]) => Number(uid) > 0 && gid !== undefined && gid !== uid) ?? []
    const groups = (of: string): string => {
      const { stdout, stderr } = spawnSync(process.execPath, [RPCOOL, 'run', '--user', of, '--heap', '65536', '--heaps', '1', '--', 'id', '-G'], { encoding: 'utf8' })
      return stdout.trim() || stderr
    }
    assert.equal(groups(user), group)
    assert.ok(!accounts.some(([, , uid]) => uid === '54321'))
    assert.equal(groups('54321'), '65534')
  })

  test('a server that demands seals without exceptions gets them: awaited, sync, many at once', async (t) => {
    const { server, isolations } = await local(t, { seals: { require: 'enforced' } })
    const client = await launch(t, server.channel, ...SMALL)
    assert.deepEqual(await client.ask('connect'), { strength: 'enforced', connection: 0 })
    assert.equal(server.connections[0]!.seals?.strength, 'enforced')
    assert.equal(server.connections[0]!.caller.uid, USER)
    assert.equal(await client.ask('read', { connection: 0, value: 7 }), '7')
    assert.equal(await client.ask('sync', { connection: 0, value: 8 }), 8)
    assert.equal(await client.ask('many', { connection: 0, value: 50 }), true)
    assert.deepEqual([...new Set(isolations())], ['seal true'])
    assert.equal(isolations().length, 52)
  })

  test('another process of the program\'s user takes nothing from it, neither while it is launched nor later', async (t) => {
    const { server } = await local(t, { seals: { require: 'enforced' } })
    const thief = await Commanded.startAs(USER, {}, './thief-main.js')
    t.after(() => thief.kill())
    const pids: number[] = []
    for (let i = 0; i < 5; i++) {
      const client = await launch(t, server.channel, ...SMALL)
      assert.deepEqual(await client.ask('connect'), { strength: 'enforced', connection: 0 })
      pids.push(server.connections.at(-1)!.caller.pid)
      await client.ask('close', 0)
    }
    const { seen, robbed } = await thief.ask('stop') as { seen: number[], robbed: number[] }
    assert.ok(pids.some((pid) => seen.includes(pid)), `the thief saw ${seen.join(', ')}, the programs were ${pids.join(', ')}`)
    // Other tests may have processes of this user, which have something to take.
    assert.deepEqual(pids.filter((pid) => robbed.includes(pid)), [])
  })

  test('three users: the server belongs to one that RPCOOL_USERS names', async (t) => {
    const channel = 'confined/three-users'
    const server = await Commanded.startAs(NAMED_USER, { RPCOOL_RUNTIME_OWNER: '0' }, './sealed-main.js', channel)
    t.after(() => server.kill())
    await server.ask('serve')
    const client = await Launched.client(channel, ...SMALL)
    t.after(() => client.end())
    assert.deepEqual(await client.ask('connect'), { strength: 'enforced', connection: 0 })
    assert.equal(await client.ask('read', { connection: 0, value: 9 }), '9')
    // A heap that its server can still read goes to no server of another user; the one that is left does.
    await client.ask('close', 0)
    const ours = await local(t)
    const other = await Launched.start(['--user', String(USER), '--heap', '262144', '--heaps', '1'], [process.execPath, LAUNCHED_MAIN, channel])
    t.after(() => other.end())
    await other.ask('connect')
    await other.ask('close', 0)
    assert.match(String(await other.ask('elsewhere', ours.server.channel)), /FAILED_PRECONDITION.*served servers of another user/)
    assert.equal(await client.ask('elsewhere', ours.server.channel), '5')
    // Nor after the daemon's death, when the next one has been told of the heap: before that it knows neither program nor channel.
    process.kill((await DaemonClient.shared().connect()).pid, 'SIGKILL')
    const answers: string[] = []
    await until('the next daemon to know the heap', async () => {
      answers.push(String(await other.ask('elsewhere', ours.server.channel)))
      return !/PERMISSION_DENIED|NOT_FOUND|UNAVAILABLE|no launcher prepared/.test(answers.at(-1)!)
    })
    assert.match(answers.at(-1)!, /FAILED_PRECONDITION.*served servers of another user/)
  })

  test('who is neither named nor launched is refused, and trusts nobody by itself', async (t) => {
    const { server } = await local(t)
    const stranger = (environment: Readonly<Record<string, string>>): string => spawnSync(process.execPath, [LAUNCHED_MAIN, server.channel, 'once'], {
      uid: USER, gid: USER, encoding: 'utf8', env: { ...process.env, ...environment },
    }).stderr
    assert.match(stranger({}), /FAILED_PRECONDITION.*belongs to user 0, not to user 65534; RPCOOL_RUNTIME_OWNER/)
    assert.match(stranger({ RPCOOL_RUNTIME_OWNER: '0' }), /PERMISSION_DENIED.*not process \d+ of user 65534/)
    assert.match(stranger({ RPCOOL_RUNTIME_OWNER: '1' }), /FAILED_PRECONDITION.*belongs to user 0, not to user 1/)
    assert.match(stranger({ RPCOOL_RUNTIME_OWNER: 'root' }), /INVALID_ARGUMENT.*names users by number/)
  })

  test('a launched program serves no channel, and shares no heap whose writers must trust each other', async (t) => {
    const { server } = await local(t)
    const client = await launch(t, server.channel, ...SMALL)
    assert.match(String(await client.ask('serve', 'confined/impostor')), /PERMISSION_DENIED.*serves none/)
    const sharing = await serve('confined/sharing', SealedService, { read: ({ value }) => value, hold: () => '' }, { sharedHeapBytes: 1 << 20 })
    try {
      assert.match(String(await client.ask('elsewhere', sharing.channel)), /PERMISSION_DENIED.*share one heap/)
      await (await connect(sharing.channel, SealedService)).close()
    } finally {
      await sharing.close()
    }
  })

  test('sealer and keeper die: seals in flight hold, calls go on, new connections get seals', async (t) => {
    const { server, waiting, release } = await local(t)
    const client = await launch(t, server.channel, ...SMALL)
    await client.ask('connect')
    for (const [i, name] of (['sealer', 'keeper'] as const).entries()) {
      await client.ask('hold', 0)
      await until(`the handler before the ${name}'s death`, () => waiting() === 1)
      process.kill(serviceProcess(name), 'SIGKILL')
      release()
      assert.equal((await client.ask('held') as string[]).at(-1), 'the same')
      const { connection } = await connectAgain(client, 'enforced')
      assert.equal(await client.ask('read', { connection, value: i }), String(i))
      await client.ask('close', connection)
    }
  })

  test('the daemon dies: connections go on, and new ones get seals', async (t) => {
    const { server } = await local(t)
    const client = await launch(t, server.channel, ...SMALL)
    await client.ask('connect')
    process.kill((await DaemonClient.shared().connect()).pid, 'SIGKILL')
    const { connection } = await connectAgain(client, 'enforced')
    assert.equal(await client.ask('read', { connection, value: 3 }), '3')
    assert.equal(await client.ask('read', { connection: 0, value: 4 }), '4')
  })
})
