// Runs one native attacker against one sealed page, as its victim: another process, of another user where that is possible.
import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { PAGE_BYTES } from '../../../src/base/numbers.js'
import { runtimeDirectory } from '../../../src/control/index.js'
import { openRuntimeDirectory, sealerSocket } from '../../../src/control/runtime-directory.js'
import { PREPARED_ADDRESS } from '../../../src/safety/seals/confined/launcher.js'
import { SEALER_VERSION } from '../../../src/safety/seals/messages.js'
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

export interface Compiled {
  readonly binary: string
  readonly folder: string
}

/** Compiles the attackers; the folder is the caller's to remove. */
export function compileAttackers(): Compiled {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-attack-'))
  const sources = fileURLToPath(new URL('../../../../test/hostile/seals/', import.meta.url))
  const binary = join(folder, 'attacker')
  execFileSync('gcc', ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-pthread', `-DSEALER_VERSION=${SEALER_VERSION}`, '-o', binary, ...['attacker.c', 'attacks.c', 'kernel-attacks.c'].map((name) => join(sources, name))])
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

/** How a sender comes to its memory: by itself, or set up by a trusted launcher. */
export type Setting = 'by itself' | 'confined'

interface Attacker extends AsyncDisposable {
  readonly input: Writable
  readonly lines: AsyncIterator<string>
  readonly ended: Promise<unknown>
  readonly heap: PlainHeap
}

/** One attack on one page, as seen by the receiver of its call. */
export async function attack(name: string, { binary, folder }: Compiled, setting: Setting): Promise<Attempt> {
  using client = SealClient.ofDirectory()
  await client.connected()
  await using attacker = setting === 'confined' ? await startConfined(name, binary, folder) : startByItself(name, binary, folder)
  const { heap, input, lines, ended } = attacker
  const receiving = client.attachReceiver({ token: heap.token, address: heap.mapping.address, byteLength: heap.byteLength, file: heap.file })
  receiving.catch(() => undefined)
  const said: string[] = []
  const first = await within(lines.next(), ended)
  if (first !== undefined) said.push(first)
  if (first !== 'sealed') return { strength: { kind: 'enforced', except: [] }, outcome: 'no seal', said }
  const received = await receiving
  const outcome = await provoke(received, new Uint8Array(heap.mapping.buffer), () => input.write('go\n'), () => within(lines.next(), ended), said)
  return { strength: received.strength, outcome, said }
}

function argumentsOf(name: string, { token, mapping, byteLength }: PlainHeap, file: number): string[] {
  return [name, sealerSocket(runtimeDirectory()), token, String(mapping.address), String(byteLength), String(file)]
}

function startByItself(name: string, binary: string, folder: string): Attacker {
  const heap = PlainHeap.create(PAGES)
  const [program, args] = asAttacker([binary, ...argumentsOf(name, heap, 3)])
  const child = spawn(program, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit', heap.file] })
  return attackerOf(child, heap)
}

/** The launcher makes the heap: this side joins it, and tells the attacker, who waits for its first line, the token. */
async function startConfined(name: string, binary: string, folder: string): Promise<Attacker> {
  const token = randomBytes(16).toString('hex')
  const byteLength = PAGES * PAGE_BYTES
  const main = fileURLToPath(new URL('../../support/confined-launcher-main.js', import.meta.url))
  const user = isRoot ? String(ATTACKER_UID) : '-1'
  const args = [name, sealerSocket(runtimeDirectory()), token, String(PREPARED_ADDRESS), String(byteLength), '-1']
  const child = fork(main, [user, String(PREPARED_ADDRESS), String(byteLength), binary, ...args], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit', 'ipc'] })
  const [{ heapFile }] = await once(child, 'message') as [{ readonly heapFile: number }]
  return attackerOf(child, PlainHeap.join({ pid: child.pid!, fd: heapFile, pages: PAGES, token }, PREPARED_ADDRESS))
}

function attackerOf(child: ChildProcess, heap: PlainHeap): Attacker {
  const ended = once(child, 'exit')
  return {
    heap, ended, input: child.stdin!, lines: createInterface(child.stdout!)[Symbol.asyncIterator](),
    [Symbol.asyncDispose]: async () => {
      if (child.connected) child.disconnect()
      else child.kill('SIGKILL')
      await ended
      // What an attack left behind may hold the other end: nobody waits for it.
      child.stdout!.destroy()
      heap[Symbol.dispose]()
    },
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
