// Strangers at the door: what a server's listening socket is sent before anybody knows who it is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DaemonClient } from '../../src/control/index.js'
import { Everything } from '../support/everything.js'
import { Ground } from '../support/ground.js'
import { callAllTheTime } from './well-behaved.js'

async function doorOf(channel: string): Promise<string> {
  const daemon = DaemonClient.shared()
  const opened = await daemon.openConnection(channel, { heapBytes: 65_536, controlBytes: 65_536, info: { slots: 16 } }, {})
  for (const grant of [opened.control, opened.heap]) {
    grant.close()
    daemon.releaseHeap(grant)
  }
  daemon.closeConnection(opened)
  const { serverInfo } = opened
  assert.ok(typeof serverInfo === 'object' && serverInfo !== null && 'socket' in serverInfo && typeof serverInfo.socket === 'string')
  return serverInfo.socket
}

for (const how of ['wrong tokens', 'huge frames', 'garbage', 'a byte at a time', 'a thousand silent sockets'] as const) {
  test(`a stranger that comes with ${how} disturbs neither clients nor newcomers`, async (t) => {
    await using ground = await Ground.open(t)
    const server = await ground.serve()
    const good = await ground.connect()
    const stranger = await ground.child('../hostile/stranger-main.js', how, await doorOf(ground.channel))
    let over = false
    const attack = stranger.ask('attack', 1500).finally(() => (over = true))
    const newcomers = (async (): Promise<number> => {
      let count = 0
      for (; !over; count++) {
        const conn = await ground.connectTo(Everything, { heapBytes: 1 << 20 })
        assert.equal(await conn.number(count), count)
        await conn.close()
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      return count
    })()
    ground.waitsFor = 'clients and newcomers under attack'
    const [rounds, count] = await Promise.all([callAllTheTime(good, () => over), newcomers])
    await attack
    await stranger.kill()
    t.diagnostic(`${rounds} rounds, ${count} newcomers`)
    assert.ok(rounds > 3 && count > 1, `${rounds} rounds, ${count} newcomers`)
    assert.deepEqual((await ground.info(server)).errors, [])
  })
}
