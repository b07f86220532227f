// Runs one native attacker against one sealed page, as its victim: another process, of another user where that is possible.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { PAGE_BYTES } from '../../../src/base/numbers.js'
import { runtimeDirectory } from '../../../src/control/index.js'
import { openRuntimeDirectory, sealerSocket } from '../../../src/control/runtime-directory.js'
import { SealClient, type Receiving } from '../../../src/safety/seals/seal-client.js'
import type { Strength } from '../../../src/safety/seals/strength.js'
import { PlainHeap } from '../../support/plain-heap.js'

export const isRoot = process.geteuid?.() === 0
/** The attackers' user: nobody. */
const ATTACKER_UID = 65534
const PAGES = 16
const TARGET_PAGE = 5
const ANSWER_MS = 10_000

export interface Attempt {
  readonly strength: Strength
  /** Held: the page did not change. Noticed: it did, and the receiver that looks after its handler knows. */
  readonly outcome: 'held' | 'not held' | 'noticed' | 'no seal'
  readonly said: readonly string[]
}

/** Compiles the attackers; the folder is the caller's to remove. */
export function compileAttackers(): { readonly binary: string, readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-attack-'))
  const sources = fileURLToPath(new URL('../../../../test/hostile/seals/', import.meta.url))
  const binary = join(folder, 'attacker')
  execFileSync('gcc', ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-pthread', '-o', binary, ...['attacker.c', 'attacks.c', 'kernel-attacks.c'].map((name) => join(sources, name))])
  // The attacker writes a file of its own here.
  chmodSync(folder, 0o777)
  return { binary, folder }
}

/** Lets the attackers' user reach the sealer: what a sealer of the system does by its place. */
export function openToAttackers(): void {
  process.env['RPCOOL_SEALER_USERS'] = 'all'
  openRuntimeDirectory(runtimeDirectory())
  if (!isRoot) return
  for (const folder of [runtimeDirectory(), dirname(runtimeDirectory())]) chmodSync(folder, 0o711)
}

export async function attack(name: string, binary: string, folder: string): Promise<Attempt> {
  using heap = PlainHeap.create(PAGES)
  using client = SealClient.ofDirectory()
  const { token, byteLength } = heap
  const { address } = heap.mapping
  const said: string[] = []
  const receiving = client.attachReceiver({ token, address, byteLength, file: heap.file })
  receiving.catch(() => undefined)
  await client.connected()
  const [program, args] = asAttacker([binary, name, sealerSocket(runtimeDirectory()), token, String(address), String(byteLength), '3'])
  const child = spawn(program, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit', heap.file] })
  const ended = once(child, 'exit')
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]()
  try {
    const first = await within(lines.next(), ended)
    if (first !== undefined) said.push(first)
    if (first !== 'sealed') return { strength: { kind: 'enforced', except: [] }, outcome: 'no seal', said }
    const received = await receiving
    const outcome = await provoke(received, new Uint8Array(heap.mapping.buffer), () => child.stdin!.write('go\n'), () => within(lines.next(), ended), said)
    return { strength: received.strength, outcome, said }
  } finally {
    child.kill('SIGKILL')
    await ended
    ;(await receiving.catch(() => undefined))?.close()
  }
}

async function provoke({ verifier }: Receiving, memory: Uint8Array, go: () => void, next: () => Promise<string | undefined>, said: string[]): Promise<Attempt['outcome']> {
  if (!verifier.verify(0, TARGET_PAGE, 1)) return 'no seal'
  const page = (): Uint8Array => memory.slice(TARGET_PAGE * PAGE_BYTES, (TARGET_PAGE + 1) * PAGE_BYTES)
  const before = page()
  go()
  const second = await next()
  if (second !== undefined) said.push(second)
  const after = page()
  if (Buffer.from(before).equals(after)) return 'held'
  return verifier.held(0) ? 'not held' : 'noticed'
}

function asAttacker(command: readonly string[]): [program: string, args: readonly string[]] {
  if (!isRoot) return [command[0]!, command.slice(1)]
  return ['setpriv', ['--reuid', String(ATTACKER_UID), '--regid', String(ATTACKER_UID), '--clear-groups', '--', ...command]]
}

/** The next line, or undefined when the process ends or says nothing. */
async function within(line: Promise<IteratorResult<string>>, ended: Promise<unknown>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ANSWER_MS, undefined)
  })
  try {
    const got = await Promise.race([line, ended.then(() => line), late])
    return got === undefined || got.done === true ? undefined : got.value
  } finally {
    clearTimeout(timer)
  }
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}
