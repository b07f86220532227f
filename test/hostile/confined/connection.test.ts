// Every attack that a confined program can try against its own typed call, as another user than the server, the sealer and the daemon. The
// same attack, by the same program, against an argument that nothing protects shows that it is one.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { DaemonClient, runtimeDirectory } from '../../../src/control/index.js'
import { serve, type Server, type ServerCall, type View } from '../../../src/index.js'
import { SEALER_VERSION } from '../../../src/safety/seals/messages.js'
import { packageRoot } from '../../../src/sys/index.js'
import { Launched } from '../../support/launched.js'
import { ATTACKER_UID, isRoot } from '../seals/attack.js'
import { ATTACKS, type AttackRow } from '../seals/expected.js'
import { Attacked, type Prey } from './service.js'

const SIDE_BY_SIDE = 3
const main = fileURLToPath(new URL('./attacking-main.js', import.meta.url))
const sources = fileURLToPath(new URL('../../../../test/hostile/', import.meta.url))

/** What takes another process, a descriptor that a program under "rpcool run" does not have, a page's place in its file, or the sealer's protocol by hand: see seals.test.ts. */
const ELSEWHERE = /kept|accomplice|held up|exec after|complete|seal again|release other|remap_file_pages/
const ROWS = ATTACKS.filter((row) => row.refused !== true && row.needs === undefined && row.accomplice === undefined && !ELSEWHERE.test(row.name))

let folder = ''
let server: Server
/** Handlers that wait, by their client's process: each tells whether its argument has changed, and answers. */
const waiting = new Map<number, () => string>()

function compile(): string {
  folder = mkdtempSync(join(tmpdir(), 'rpcool-attack-'))
  chmodSync(folder, 0o755)
  const addon = join(folder, 'attacks.node')
  const files = readdirSync(join(sources, 'seals')).filter((name) => name.endsWith('.c') && name !== 'attacker.c').map((name) => join(sources, 'seals', name))
  execFileSync('gcc', [
    '-std=gnu11', '-O1', '-Wall', '-Wextra', '-shared', '-fPIC', '-pthread', `-DSEALER_VERSION=${SEALER_VERSION}`, '-DNODE_GYP_MODULE_NAME=attacks',
    '-isystem', join(packageRoot(), 'node_modules', 'node-api-headers', 'include'), '-o', addon, join(sources, 'confined', 'attack-addon.c'), ...files,
  ])
  return addon
}

let addon = ''

/** Keeps a copy of the argument, and compares when the test asks. */
function hold(prey: View<typeof Prey>, call: ServerCall): Promise<string> {
  const first = Buffer.from(prey.data)
  return new Promise((resolve) => {
    waiting.set(call.caller.pid, () => {
      resolve('answered')
      return `${call.isolation}: ${first.equals(prey.data) ? 'the same' : 'changed'}`
    })
  })
}

before(async () => {
  await DaemonClient.shared().connect()
  // As the administrator of a machine would choose a place for all.
  chmodSync(dirname(runtimeDirectory()), 0o711)
  addon = compile()
  server = await serve('attacked', Attacked, { sealed: hold, unprotected: hold }, { seals: { require: 'enforced', except: isRoot ? [] : ['same-user'] } })
})
after(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Outcome {
  readonly strength: unknown
  readonly kept: unknown
  readonly said: unknown
  /** What the handler saw. */
  readonly seen: string
}

async function attack({ name }: AttackRow, how: 'sealed' | 'unprotected'): Promise<Outcome> {
  const command = [process.execPath, main, server.channel, addon, name, how]
  const program = how === 'unprotected' ? await Launched.startPlain(command)
    : await Launched.start(['--heap', '131072', '--heaps', '1', ...(isRoot ? ['--user', String(ATTACKER_UID)] : [])], command)
  try {
    const [strength, kept] = [await program.ask('strength'), await program.ask('kept')]
    assert.equal(await program.ask('begin'), 'called')
    const caller = await program.pid()
    for (let waited = 0; !waiting.has(caller); waited += 5) {
      assert.ok(waited < 10_000, `the call of ${name} does not come`)
      await sleep(5)
    }
    const said = await program.ask('attack')
    const seen = waiting.get(caller)!()
    waiting.delete(caller)
    return { strength, kept, said, seen }
  } finally {
    await program.end()
  }
}

suite('a confined program attacks its own sealed call', { concurrency: SIDE_BY_SIDE }, () => {
  for (const row of ROWS) {
    test(row.name, async () => {
      const { strength, kept, said, seen } = await attack(row, 'sealed')
      assert.equal(strength, isRoot ? 'enforced' : 'enforced except [same-user]')
      assert.deepEqual(kept, [], 'it has no descriptor of its heap')
      assert.equal(said, 'done', 'the attack was not carried out')
      assert.equal(seen, 'seal: the same')
    })
  }
})

suite('the same attack on an argument that nothing protects', { concurrency: SIDE_BY_SIDE }, () => {
  for (const row of ROWS.filter(({ harmless }) => harmless === undefined)) {
    test(row.name, async () => {
      const { said, seen } = await attack(row, 'unprotected')
      assert.equal(said, 'done')
      assert.equal(seen, 'none: changed', 'it is no attack')
    })
  }
})
