// The daemon is killed: connections go on, and what participants hold is known to the next daemon.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DaemonClient, ConnectionEnd, OpenedConnection } from '../../src/control/index.js'
import { assertRejects, closeGrants, isAlive, memoryFiles, openFiles, Workspace } from './support.js'

process.env['RPCOOL_DAEMON_IDLE_MS'] = '150'
const PAGE = 4096
const OPEN = { heapBytes: 16 * PAGE, controlBytes: PAGE }

async function killDaemon(space: Workspace, client: DaemonClient): Promise<number> {
  const pid = await space.daemonPid(client)
  process.kill(pid, 'SIGKILL')
  await space.until('the daemon to die', () => !isAlive(pid))
  return pid
}

/** Asks until the one asked for has come back to the new daemon. */
async function askAgain(space: Workspace, open: () => Promise<unknown>): Promise<unknown> {
  space.waitsFor = 'a channel to be known to the new daemon'
  for (;;) {
    try {
      return await open()
    } catch (error) {
      const code = (error as { code?: string }).code
      if (code !== 'NOT_FOUND' && code !== 'UNAVAILABLE') throw error
    }
  }
}

test('channels, connections and addresses are brought to the next daemon', async (t) => {
  await using space = new Workspace(t)
  const observer = space.client()
  const [server, client, other] = [await space.child(), await space.child(), await space.child()]
  await server.do('register', 'a')
  const address = await client.do('open', 'a')
  const old = await killDaemon(space, observer)
  const next = await askAgain(space, () => other.do('open', 'a'))
  assert.notEqual(next, address)
  assert.notEqual(await space.daemonPid(observer), old)
  await askAgain(space, () => client.do('open', 'a'))
  await client.kill()
  await space.until('the server to hear of the deaths', () => server.events.filter((event) => event === 'server peerDied').length === 2)
  await server.kill()
  await space.until('the last client to hear', () => other.events.includes('client peerDied'))
})

test('a shared heap is handed to the next daemon, and to its clients', async (t) => {
  await using space = new Workspace(t)
  const observer = space.client()
  const [server, first, second] = [await space.child(), await space.child(), await space.child()]
  const address = await server.do('register', 'a', 'accept', String(16 * PAGE))
  await first.do('open', 'a')
  await killDaemon(space, observer)
  assert.equal(await askAgain(space, () => second.do('open', 'a')), address)
  const pid = await space.daemonPid(observer)
  await space.until('the daemon to hold the shared heap only', () => memoryFiles(pid) === 1)
  // The first client's member is 2, and was not given away again.
  await askAgain(space, () => first.do('open', 'a'))
  await first.kill()
  await space.until('the second client to hear of both attachments', () => second.events.filter((event) => event.startsWith('client memberGone')).length === 2)
  assert.ok(second.events.includes('client memberGone 2'))
})

test('an end that died while there was no daemon is told as dead after a time', async (t) => {
  await using space = new Workspace(t)
  const observer = space.client()
  const [server, client] = [await space.child(), await space.child()]
  await server.do('register', 'a', 'accept', String(16 * PAGE))
  await client.do('open', 'a')
  process.kill(client.pid, 'SIGSTOP')
  await killDaemon(space, observer)
  await space.daemonPid(observer)
  await client.kill()
  await space.until('the server to hear', () => server.events.includes('server peerDied') && server.events.includes('channel living 1'))
})

test('a name that another one took meanwhile is lost, and its owner told', async (t) => {
  await using space = new Workspace(t)
  const observer = space.client()
  const slow = await space.child()
  await slow.do('register', 'a')
  process.kill(slow.pid, 'SIGSTOP')
  await killDaemon(space, observer)
  await askAgain(space, () => observer.registerChannel('a', {}, { incoming: () => ({ events: {} }) }))
  process.kill(slow.pid, 'SIGCONT')
  await space.until('the slow server to hear', () => slow.events.includes('channelLost ALREADY_EXISTS'))
})

test('a request that the daemon died under fails and can be repeated; hundreds of connections are claimed', async (t) => {
  await using space = new Workspace(t)
  const [server, client] = [space.client(), space.client()]
  const ends: ConnectionEnd[] = []
  const ended = { client: 0, server: 0 }
  let decide = Promise.resolve()
  let go: () => void = () => undefined
  const eventsOf = (end: 'client' | 'server') => ({ peerDied: () => ended[end]++, connectionClosed: () => ended[end]++ })
  await server.registerChannel('a', {}, {
    incoming: async (request) => {
      await decide
      ends.push(request)
      return { events: eventsOf('server') }
    },
  })
  const opened: OpenedConnection[] = []
  for (let i = 0; i < 300; i++) {
    const connection = await client.openConnection('a', OPEN, eventsOf('client'))
    closeGrants(connection.control, connection.heap)
    opened.push(connection)
  }
  decide = new Promise((resolve) => (go = resolve))
  const opening = assertRejects(client.openConnection('a', OPEN, {}), 'UNAVAILABLE', /daemon ended/)
  await client.ping()
  await killDaemon(space, client)
  await opening
  go()
  const pid = await space.daemonPid(client)
  await space.daemonPid(server)
  const grown = await client.growConnection(opened[299]!, PAGE)
  const again = await client.openConnection('a', OPEN, {})
  const ranges = [...opened, again].map(({ heap }) => heap.address)
  assert.equal(new Set([...ranges, grown.address]).size, 302)
  closeGrants(grown, again.control, again.heap)
  assert.equal(ended.client, 0)
  for (const connection of opened) client.closeConnection(connection)
  // One was never opened for its client: it died with the daemon, or is missed after a time.
  await space.until('the server to hear of every end', () => ended.server === 301)
  client.close()
  server.close()
  await space.until('the daemon to end', () => !isAlive(pid))
  assert.equal(openFiles().filter((name) => name.startsWith('/memfd:rpcool')).length, 0)
})
