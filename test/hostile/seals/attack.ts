// Runs one native attacker against one sealed page, as its victim: another process, of another user where that is possible.
import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { compiledProgram } from '../../../bench/support/compile.js'
import { type Address, makeAddress, PAGE_BYTES } from '../../../src/base/numbers.js'
import { runtimeDirectory } from '../../../src/control/index.js'
import { openRuntimeDirectory, sealerSocket } from '../../../src/control/place/runtime-directory.js'
import { sealDescriptorsBytes } from '../../../src/layout/seal-layout.js'
import { SealVerifier } from '../../../src/safety/seals/descriptors.js'
import { SEALER_VERSION } from '../../../src/safety/seals/messages.js'
import { SealClient } from '../../../src/safety/seals/seal-client.js'
import { COOPERATIVE, type Strength } from '../../../src/safety/seals/strength.js'
import { PlainHeap } from '../../support/plain-heap.js'
import { ATTACKS } from './expected.js'

export const isRoot = process.geteuid?.() === 0
/** The attackers' user: nobody. */
export const ATTACKER_UID = 65534
const PAGES = 16
const DESCRIPTORS = 16
/** The descriptors of a sender that seals by itself lie before its pages. */
const RING_BYTES = sealDescriptorsBytes(DESCRIPTORS)
const TARGET_PAGE = 5
const ANSWER_MS = 10_000

export interface Attempt {
  readonly strength: Strength
  /**
   * Held: the page did not change. Noticed: it did, and the receiver that looks after its handler knows. Refused: the sealer did not let
   * the attacker attach.
   */
  readonly outcome: 'held' | 'not held' | 'noticed' | 'no seal' | 'refused'
  readonly said: readonly string[]
}

export interface Compiled {
  readonly binary: string
  /** Where attackers run. As root there is a file system in it whose reads wait. */
  readonly folder: string
}

/** Compiles the attackers. */
export async function prepareAttackers(): Promise<Compiled & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-attack-'))
  const sources = fileURLToPath(new URL('../../../../test/hostile/seals/', import.meta.url))
  const binary = join(folder, 'attacker')
  const files = readdirSync(sources).filter((name) => name.endsWith('.c')).map((name) => join(sources, name))
  execFileSync('gcc', ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-pthread', `-DSEALER_VERSION=${SEALER_VERSION}`, '-o', binary, ...files])
  chmodSync(folder, 0o755)
  const slow = isRoot ? await mountSlowFile(join(folder, 'slow')) : undefined
  return {
    binary, folder,
    [Symbol.asyncDispose]: async () => {
      await slow?.unmount()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function mountSlowFile(at: string): Promise<{ unmount(): Promise<void> }> {
  mkdirSync(at)
  const server = spawn(await compiledProgram('test/hostile', 'slow-file'), [at], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(server, 'exit')
  const [said] = await Promise.race([once(server.stdout, 'data'), ended]) as [unknown]
  if (String(said).trim() !== 'mounted') throw new Error(`no file system whose reads wait: ${String(said)}`)
  return {
    async unmount() {
      server.stdin.end()
      await ended
    },
  }
}

/** Lets the attackers' user reach the sealer, as the administrator of a machine would. */
export function openToAttackers(): void {
  process.env['RPCOOL_USERS'] = String(ATTACKER_UID)
  openRuntimeDirectory(runtimeDirectory())
  if (!isRoot) return
  for (const folder of [runtimeDirectory(), dirname(runtimeDirectory())]) chmodSync(folder, 0o711)
}

/**
 * How a sender comes to its seals: from the sealer, over memory that it mapped itself or a trusted launcher did; by itself, with mprotect; or
 * not at all, which shows that an attack works.
 */
export type Setting = 'by itself' | 'confined' | 'cooperative' | 'unprotected'

interface Attacker extends AsyncDisposable {
  readonly input: Writable
  readonly lines: AsyncIterator<string>
  readonly ended: Promise<unknown>
  readonly heap: PlainHeap
}

interface Received {
  readonly verifier: SealVerifier
  readonly strength: Strength
}

/** Attacks may run side by side: each has memory of its own. */
const places = new Set<number>()

/** One attack on one page, as seen by the receiver of its call. */
export async function attack(name: string, compiled: Compiled, setting: Setting): Promise<Attempt> {
  let place = 0
  while (places.has(place)) place++
  places.add(place)
  try {
    return setting === 'cooperative' || setting === 'unprotected'
      ? await attackUnsealed(name, compiled, setting, makeAddress(0x4010 + place, 0))
      : await attackSealed(name, compiled, setting, makeAddress((setting === 'confined' ? 0x5300 : 0x4010) + place, 0))
  } finally {
    places.delete(place)
  }
}

async function attackSealed(name: string, compiled: Compiled, setting: 'by itself' | 'confined', address: Address): Promise<Attempt> {
  using client = SealClient.ofDirectory()
  await client.connected()
  await using attacker = setting === 'confined'
    ? await startConfined(name, compiled, address)
    : start(name, compiled, PlainHeap.create(PAGES, true, address), sealerSocket(runtimeDirectory()))
  const { heap } = attacker
  const receiving = client.attachReceiver({ token: heap.token, address: heap.mapping.address, byteLength: heap.byteLength, file: heap.file })
  receiving.catch(() => undefined)
  return await watch(name, compiled, attacker, () => receiving, new Uint8Array(heap.mapping.buffer))
}

async function attackUnsealed(name: string, compiled: Compiled, setting: 'cooperative' | 'unprotected', address: Address): Promise<Attempt> {
  const heap = PlainHeap.create(PAGES + RING_BYTES / PAGE_BYTES, true, address)
  const { buffer } = heap.mapping
  const verifier = new SealVerifier(buffer, DESCRIPTORS, PAGES, { now: 0, liveSince: () => true })
  await using attacker = start(name, compiled, heap, setting)
  return await watch(name, compiled, attacker, () => ({ verifier, strength: COOPERATIVE }), new Uint8Array(buffer, RING_BYTES))
}

async function watch(name: string, compiled: Compiled, { lines, ended, input }: Attacker, received: () => Received | Promise<Received>, memory: Uint8Array): Promise<Attempt> {
  const said: string[] = []
  let accomplice: Accomplice | undefined
  const next = async (): Promise<string | undefined> => {
    const line = await within(lines.next(), ended)
    if (line !== undefined) said.push(line)
    return line
  }
  try {
    let first = await next()
    const awaited = /^accomplice (\d+) (\d+)$/.exec(first ?? '')
    if (awaited !== null) {
      accomplice = await startAccomplice(compiled, awaited[1]!, awaited[2]!, ATTACKS.find((row) => row.name === name)?.accomplice === 'held up')
      input.write('begun\n')
      first = await next()
    }
    if (first !== 'sealed') return { strength: { kind: 'enforced', except: [] }, outcome: first?.startsWith('refused') === true ? 'refused' : 'no seal', said }
    const { verifier, strength } = await received()
    const go = (): void => {
      accomplice?.input.write('go\n')
      input.write('go\n')
    }
    return { strength, outcome: await provoke(verifier, memory, go, next), said }
  } finally {
    await accomplice?.end()
  }
}

interface Accomplice {
  readonly input: Writable
  end(): Promise<void>
}

/** Another process of the attacker's user, which nobody confines. */
async function startAccomplice({ binary, folder }: Compiled, victim: string, page: string, isHeldUp: boolean): Promise<Accomplice> {
  const [program, args] = asAttacker([binary, 'accomplice', victim, page, isHeldUp ? '1' : '0'])
  const child = spawn(program, args, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  child.stdin.on('error', () => undefined)
  const [said] = await Promise.race([once(child.stdout, 'data'), ended]) as [unknown]
  if (String(said).trim() !== 'begun') throw new Error(`the accomplice did not begin: ${String(said)}`)
  return {
    input: child.stdin,
    end: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function start(name: string, { binary, folder }: Compiled, heap: PlainHeap, sealer: string): Attacker {
  const first = heap.byteLength - PAGES * PAGE_BYTES
  const args = [name, sealer, heap.token, String(heap.mapping.address + first), String(PAGES * PAGE_BYTES), '3']
  const [program, rest] = asAttacker([binary, ...args])
  return attackerOf(spawn(program, rest, { cwd: folder, stdio: ['pipe', 'pipe', 'inherit', heap.file] }), heap)
}

/** The launcher makes the heap: this side joins it, and tells the attacker, who waits for its first line, the token. */
async function startConfined(name: string, { binary, folder }: Compiled, address: Address): Promise<Attacker> {
  const token = randomBytes(16).toString('hex')
  const byteLength = PAGES * PAGE_BYTES
  const main = fileURLToPath(new URL('../../support/confined-launcher-main.js', import.meta.url))
  const user = isRoot ? String(ATTACKER_UID) : '-1'
  const args = [name, sealerSocket(runtimeDirectory()), token, String(address), String(byteLength), '-1']
  const child = fork(main, [user, String(address), String(byteLength), binary, ...args], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit', 'ipc'] })
  const [{ heapFile }] = await once(child, 'message') as [{ readonly heapFile: number }]
  return attackerOf(child, PlainHeap.joinPrepared({ pid: child.pid!, fd: heapFile, pages: PAGES, token }, address))
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

async function provoke(verifier: SealVerifier, memory: Uint8Array, go: () => void, next: () => Promise<string | undefined>): Promise<Attempt['outcome']> {
  if (!verifier.verify(0, TARGET_PAGE, 1)) return 'no seal'
  const page = (): Uint8Array => memory.slice(TARGET_PAGE * PAGE_BYTES, (TARGET_PAGE + 1) * PAGE_BYTES)
  const before = page()
  go()
  await next()
  const after = page()
  if (Buffer.from(before).equals(after)) return 'held'
  return verifier.held(0) ? 'not held' : 'noticed'
}

export function asAttacker(command: readonly string[]): [program: string, args: readonly string[]] {
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
