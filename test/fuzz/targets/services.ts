// Messages to the running daemon, sealer and keeper, over sockets, from processes that know the protocol: changed in their bytes and fields, with
// descriptors of any kind. Whatever comes, the service goes on, answers what it should, and keeps nothing.
import assert from 'node:assert/strict'
import { openSync, readdirSync } from 'node:fs'
import { RpcError } from '../../../src/base/errors.js'
import { makeAddress, PAGE_BYTES } from '../../../src/base/numbers.js'
import { runtimeDirectory } from '../../../src/control/index.js'
import { connectOrStart, DAEMON, type Service } from '../../../src/control/place/launch.js'
import { PROTOCOL_VERSION } from '../../../src/control/protocol/limits.js'
import { decodeNotice, decodeRequest, encodeMessage } from '../../../src/control/protocol/messages.js'
import { KEEPER } from '../../../src/safety/seals/keeper/keeper-service.js'
import { decodeKeeperMessage, decodeSealerNotice, decodeSealerRequest, SEALER_VERSION } from '../../../src/safety/seals/messages.js'
import { makeUserfault } from '../../../src/safety/seals/seal-files.js'
import { SEALER } from '../../../src/safety/seals/sealer/sealer-service.js'
import { addon, connectUnix, createMemoryFile, errnoCode, peerCredentials, receivePacket, sendPacket } from '../../../src/sys/index.js'
import { PlainHeap } from '../../support/plain-heap.js'
import type { Random } from '../../support/random.js'
import type { FuzzTarget } from '../target.js'
import { templates } from './messages.js'
import { mutatedMessage } from './mutated.js'
import { KEEPING, REQUESTS } from './sealing.js'

const LINKS = 3
const MESSAGES = 192
/** Messages between two looks at what is answered. */
const BURST = 24
/** Numbers of answers that later messages may name, by field. */
const LEARNT_MAX = 8
/** A service that answers nobody for so long hangs. */
const PATIENCE_MS = 10_000
/** Numbers that mean little when they are others. */
const FIXED: ReadonlySet<string> = new Set(['address', 'descriptors', 'requests', 'pid', 'uid'])
/** Of the question whose answer says that all before it was heard. */
const QUESTION_ID = 0xffff_ffff

type Message = Readonly<Record<string, unknown>> & { readonly type: string }

/** What is said to a service. */
interface Spoken {
  readonly service: Service
  readonly hello: Message | undefined
  readonly messages: readonly Message[]
  /** It is answered in any state. */
  readonly question: Message
  /** Throws for what the service drops its sender for. */
  readonly decode: (bytes: Uint8Array) => unknown
  readonly decodeAnswer: (bytes: Uint8Array) => object
  /** Descriptors that a message should come with, of which some are this process's to close afterwards. */
  readonly files?: (message: Message, ground: Ground) => { readonly fds: readonly number[], readonly toClose: readonly number[] }
}

/** What hostile processes have at hand. */
class Ground {
  readonly heap = PlainHeap.create(16, true, makeAddress(0x4020, 0))
  readonly others = [createMemoryFile('fuzz', 4096), createMemoryFile('fuzz', 8192, true), addon.createBell(), openSync('/dev/null', 'r+'), openSync('/proc/self/maps', 'r')]
}

class Link {
  fd: number
  /** Since the last look. */
  sent = 0

  constructor(readonly path: string) {
    this.fd = connectUnix(path, 'packets')
  }

  /** Gives each answer to the function. False when the service has ended the link. */
  look(answered: (bytes: Uint8Array) => void): boolean {
    for (;;) {
      let packet
      try {
        packet = receivePacket(this.fd)
      } catch (error) {
        if (errnoCode(error) === undefined) throw error
        // The reset of a connection is told before what was sent last.
        if (errnoCode(error) === 'ECONNRESET') continue
        return false
      }
      if (packet === undefined) return true
      for (const fd of packet.fds) addon.closeFd(fd)
      if (packet.bytes.length === 0) return false
      answered(packet.bytes)
    }
  }

  close(): void {
    if (this.fd >= 0) addon.closeFd(this.fd)
    this.fd = -1
  }
}

class ServiceTarget implements FuzzTarget {
  #witness: Link | undefined
  #pid = 0
  #before = 0
  #ground: Ground | undefined
  /** What the keeper says that it keeps. */
  readonly #kept = new Set<string>()
  /** By the field's name. */
  readonly #learnt = new Map<string, number[]>()

  constructor(readonly name: string, readonly spoken: Spoken) {}

  async tryCase(random: Random): Promise<number> {
    const witness = this.#witness ?? await this.#begin()
    this.#learnt.clear()
    const links = Array.from({ length: LINKS }, () => this.#open())
    let tried = 0
    for (let left = MESSAGES; left > 0; left -= BURST) {
      const doomed: Link[] = []
      for (let i = 0; i < BURST; i++) {
        const at = random.below(LINKS)
        if (this.#say(links[at]!, random)) continue
        doomed.push(links[at]!)
        links[at] = this.#open()
      }
      for (const link of [...links, ...doomed]) this.#question(link)
      for (const link of doomed) assert.ok(!this.#hears(link), `the ${this.name} understands what its protocol refuses`)
      for (const [at, link] of links.entries()) {
        const lives = this.#hears(link)
        // Which of several it was dropped for does not show.
        tried += lives ? link.sent : Math.min(1, link.sent)
        link.sent = 0
        if (lives) continue
        link.close()
        links[at] = this.#open()
      }
      for (const link of doomed) {
        tried++
        link.close()
      }
    }
    assert.ok(this.#ask(witness), `the ${this.name} has ended, or dropped somebody who did nothing`)
    for (const link of links) link.close()
    return tried
  }

  async close(): Promise<void> {
    const witness = this.#witness
    if (witness === undefined) return
    this.#forget(witness)
    for (const end = performance.now() + PATIENCE_MS; descriptorsOf(this.#pid) > this.#before && performance.now() < end;) await new Promise((resolve) => setTimeout(resolve, 20))
    const after = descriptorsOf(this.#pid)
    witness.close()
    this.#ground?.heap[Symbol.dispose]()
    assert.ok(after <= this.#before, `the ${this.name} holds ${after} descriptors; before the first case it held ${this.#before}`)
  }

  /** A keeper keeps what it was given, whoever leaves. */
  #forget(witness: Link): void {
    if (this.spoken.service !== KEEPER) return
    this.#kept.clear()
    this.#ask(witness)
    for (const key of this.#kept) sendPacket(witness.fd, encodeMessage({ type: 'forget', key }), [])
  }

  async #begin(): Promise<Link> {
    const fd = await connectOrStart(runtimeDirectory(), () => PATIENCE_MS, this.spoken.service)
    addon.closeFd(fd)
    this.#ground = this.spoken.files === undefined ? undefined : new Ground()
    const witness = this.#open()
    this.#pid = peerCredentials(witness.fd).pid
    assert.ok(this.#ask(witness))
    this.#before = descriptorsOf(this.#pid)
    return this.#witness = witness
  }

  #open(): Link {
    for (const end = performance.now() + PATIENCE_MS; ;) {
      try {
        const link = new Link(this.spoken.service.socket(runtimeDirectory()))
        if (this.spoken.hello !== undefined) sendPacket(link.fd, encodeMessage(this.spoken.hello), [])
        return link
      } catch (error) {
        // Others wait to be let in.
        if (errnoCode(error) !== 'EAGAIN' || performance.now() > end) throw error
        addon.sleepMicroseconds(100)
      }
    }
  }

  /** False when it is what nobody can understand. */
  #say(link: Link, random: Random): boolean {
    const bytes = this.#message(random)
    const { fds, toClose } = this.#filesFor(bytes, random)
    try {
      while (!sendPacket(link.fd, bytes, fds)) link.look((answer) => this.#answered(answer))
      link.sent++
      if (bytes.length !== 1) this.spoken.decode(bytes)
      return true
    } catch (error) {
      // It was dropped already.
      if (errnoCode(error) !== undefined) return true
      if (!RpcError.is(error)) throw error
      return false
    } finally {
      for (const fd of toClose) addon.closeFd(fd)
    }
  }

  #message(random: Random): Uint8Array {
    if (random.chance(60)) return new Uint8Array([1])
    const template = random.one(this.spoken.messages)
    if (random.chance(16)) return mutatedMessage(random, template)
    const fields: Record<string, unknown> = { ...template }
    for (const [key, value] of Object.entries(template)) {
      if (typeof value !== 'number' || random.chance(3)) continue
      // Most are to be understood: what follows from them is tried, too.
      if (key.endsWith('ytes') || key === 'byteLength') fields[key] = PAGE_BYTES * (1 + random.below(16))
      else if (FIXED.has(key) && !random.chance(30)) continue
      else fields[key] = key !== 'id' && this.#learnt.has(key) && !random.chance(4) ? random.one(this.#learnt.get(key)!) : 1 + random.below(8)
    }
    return encodeMessage(fields as Message)
  }

  #filesFor(bytes: Uint8Array, random: Random): { readonly fds: readonly number[], readonly toClose: readonly number[] } {
    const ground = this.#ground
    if (ground === undefined || random.chance(4)) return { fds: [], toClose: [] }
    if (random.chance(10)) return { fds: Array.from({ length: random.below(4) }, () => random.one(ground.others)), toClose: [] }
    try {
      return this.spoken.files!(JSON.parse(Buffer.from(bytes).toString()) as Message, ground)
    } catch {
      return { fds: [], toClose: [] }
    }
  }

  /** What the service says is to be understood by its own protocol. */
  #answered(bytes: Uint8Array): Message {
    const learn = (key: string, value: unknown): void => {
      if (typeof value === 'object' && value !== null) for (const [name, one] of Object.entries(value)) learn(name, one)
      if (typeof value !== 'number') return
      const known = this.#learnt.get(key) ?? []
      if (known.length < LEARNT_MAX) this.#learnt.set(key, [...known, value])
    }
    if (bytes.length === 1) return { type: 'a doorbell' }
    const answer = this.spoken.decodeAnswer(bytes) as Message
    learn('', answer)
    if (answer.type === 'kept') this.#kept.add(String(answer['key']))
    return answer
  }

  #ask(link: Link): boolean {
    this.#question(link)
    return this.#hears(link)
  }

  #question(link: Link): void {
    try {
      while (!sendPacket(link.fd, encodeMessage(this.spoken.question), [])) link.look((bytes) => this.#answered(bytes))
    } catch (error) {
      // The service has ended it.
      if (errnoCode(error) === undefined) throw error
    }
  }

  /** Waits until the service has heard all that was said over a link, the question last; false when it has ended the link. */
  #hears(link: Link): boolean {
    let isAnswered = false
    for (const end = performance.now() + PATIENCE_MS; ;) {
      const lives = link.look((bytes) => {
        const { type, id } = this.#answered(bytes)
        isAnswered ||= type === 'end' || (type === 'done' && id === QUESTION_ID)
      })
      if (!lives || isAnswered) return lives
      assert.ok(performance.now() < end, `the ${this.name} does not answer`)
      addon.yieldCpu()
    }
  }
}

const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

const none = { fds: [], toClose: [] }
const token = '0123456789abcdef0123456789abcdef'

export const daemonService = (): FuzzTarget => new ServiceTarget('daemon', {
  service: DAEMON, hello: { type: 'hello', version: PROTOCOL_VERSION }, messages: templates, question: { type: 'ping', id: QUESTION_ID }, decode: decodeRequest, decodeAnswer: decodeNotice,
  files: ({ type }, { others }) => (type === 'claimChannel' || type === 'claimPrepared' ? { fds: [others[0]!], toClose: [] } : none),
})

export const sealerService = (): FuzzTarget => new ServiceTarget('sealer', {
  service: SEALER, hello: { type: 'hello', version: SEALER_VERSION }, decode: decodeSealerRequest, decodeAnswer: decodeSealerNotice,
  question: { type: 'detach', id: QUESTION_ID, token, address: makeAddress(0x5000, 0), end: 'sender' },
  messages: REQUESTS.filter(({ type }) => type !== 'hello').map((one) => ('address' in one ? { ...one, address: makeAddress(0x4020, 0) } : one)),
  files: ({ type }, { heap }) => {
    if (type === 'attachReceiver') return { fds: [heap.file], toClose: [] }
    if (type !== 'attachSender' && type !== 'attest') return none
    const userfault = makeUserfault(-1)
    return { fds: type === 'attest' ? [userfault, heap.file] : [userfault], toClose: [userfault] }
  },
})

export const keeperService = (): FuzzTarget => new ServiceTarget('keeper', {
  service: KEEPER, hello: undefined, messages: KEEPING.filter(({ type }) => type !== 'list'), question: { type: 'list' }, decode: decodeKeeperMessage, decodeAnswer: decodeKeeperMessage,
  files: ({ type }, { others }) => (type === 'keep' ? { fds: others.slice(0, 3), toClose: [] } : none),
})
