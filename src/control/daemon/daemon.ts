import { randomBytes, randomInt } from 'node:crypto'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { assert, unreachable } from '../../base/assert.js'
import { RpcError } from '../../base/errors.js'
import { Acceptor, addon, checkMemoryFile, errnoCode } from '../../sys/index.js'
import { SLOT_COUNT } from '../orchestrator/addresses.js'
import type { Failure } from '../protocol/errors.js'
import { AttachmentBook } from './book.js'
import { Files } from './files.js'
import { openDaemonKey, signWith } from './key.js'
import { LISTEN_BACKLOG, PARTICIPANTS_MAX, PROTOCOL_VERSION } from '../protocol/limits.js'
import type { Request } from '../protocol/messages.js'
import { Orchestrator, type Event } from '../orchestrator/orchestrator.js'
import { ParticipantLink } from './participant-link.js'
import { daemonBook, daemonLock, daemonLog, daemonSlot, daemonSocket, openRuntimeDirectory, removeSocket } from '../place/runtime-directory.js'
import type { Effect } from '../orchestrator/state.js'
import { MemoryStore } from '../orchestrator/store.js'
import type { ParticipantId, Standing } from '../protocol/types.js'
import { notServed, Places } from '../place/places.js'
import { listenInDirectory, namedUsers, openToOthers, userId } from '../place/users.js'

export interface DaemonOptions {
  readonly directory: string
  /** How long the daemon stays when it has no participant, in milliseconds. */
  readonly idleMs: number
  /** Writes a log into the directory. */
  readonly debug: boolean
  /** Called once, when the daemon has ended. */
  readonly onEnd: () => void
}

/** How often deadlines are looked at while there are any; clients watch their own more closely. */
const TICK_MS = 50
/** Errors of the kernel that mean: not now, there is too little of something. */
const EXHAUSTION = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC', 'EDQUOT', 'EFBIG'])

/**
 * The embedded daemon: carries the orchestrator's decisions out over one Unix socket. One per runtime directory, which the
 * lock sees to; its trust boundary is the user, and whom that user lets in (see users.ts). When it dies, connections go on over their own sockets and memory, and
 * participants bring what they hold to the next daemon.
 */
export class Daemon {
  readonly #options: DaemonOptions
  readonly #lock: number
  readonly #orchestrator: Orchestrator
  readonly #files = new Files()
  readonly #book: AttachmentBook
  readonly #users = namedUsers()
  readonly #links = new Map<ParticipantId, ParticipantLink>()
  readonly #strangers = new Set<ParticipantLink>()
  readonly #places = new Places('daemon', PARTICIPANTS_MAX)
  readonly #acceptor: Acceptor
  #nextParticipant = randomInt(1, 2 ** 32) * 2 ** 16
  #idleTimer: NodeJS.Timeout | undefined
  #ticker: NodeJS.Timeout | undefined
  #open = true

  /**
   * Starts a daemon in this process, or returns undefined when the directory has one already.
   * Throws RpcError FAILED_PRECONDITION for an unfit directory.
   */
  static start(options: DaemonOptions): Daemon | undefined {
    openRuntimeDirectory(options.directory)
    const lock = addon.lockFile(daemonLock(options.directory))
    if (lock < 0) return undefined
    try {
      return new Daemon(options, lock)
    } catch (error) {
      addon.closeFd(lock)
      throw error
    }
  }

  private constructor(options: DaemonOptions, lock: number) {
    this.#options = options
    this.#lock = lock
    this.#book = new AttachmentBook(daemonBook(options.directory), (line) => this.#log(line))
    this.#orchestrator = new Orchestrator({
      store: new MemoryStore(),
      sign: signWith(this.#key()),
      firstId: randomInt(1, 2 ** 32) * 2 ** 20,
      firstSlot: this.#firstSlot(),
      book: this.#book.found,
      names: this.#book.foundNames,
      expectedMs: this.#book.expectedMs,
      now: performance.now(),
    })
    const path = daemonSocket(options.directory)
    removeSocket(path)
    if (this.#users.size > 0) openToOthers(options.directory, [])
    this.#acceptor = new Acceptor(listenInDirectory(options.directory, path, LISTEN_BACKLOG), (fd) => this.#welcome(fd), (error) => this.#log(`cannot accept: ${String(error)}`))
    this.#log(`process ${process.pid} listens on ${path}`)
    this.#awaitIdleness()
    this.#watchTime()
  }

  /** Ends the daemon: participants see the end of the stream. Idempotent. */
  stop(why: string): void {
    if (!this.#open) return
    this.#open = false
    this.#log(`ends: ${why}`)
    clearTimeout(this.#idleTimer)
    clearInterval(this.#ticker)
    // First, so that who comes now starts another daemon; the lock keeps that one waiting until this one is done.
    removeSocket(daemonSocket(this.#options.directory))
    this.#acceptor.close()
    for (const link of [...this.#links.values(), ...this.#strangers]) link.close()
    this.#files.closeAll()
    this.#book.close()
    addon.closeFd(this.#lock)
    this.#options.onEnd()
  }

  #key(): Buffer {
    try {
      return openDaemonKey(this.#options.directory)
    } catch (error) {
      this.#log(`cannot keep a key: what participants hold is lost with this daemon: ${String(error)}`)
      return randomBytes(32)
    }
  }

  /** Behind the addresses of the daemon before, whose heaps may still be mapped somewhere. */
  #firstSlot(): number {
    try {
      const last = Number(readFileSync(daemonSlot(this.#options.directory), 'latin1'))
      if (Number.isInteger(last) && last >= 0 && last < SLOT_COUNT) return this.#saveSlot((last + 1) % SLOT_COUNT)
    } catch {
      // There was no daemon before.
    }
    return this.#saveSlot(randomInt(SLOT_COUNT))
  }

  #saveSlot(slot: number): number {
    try {
      writeFileSync(daemonSlot(this.#options.directory), String(slot), { mode: 0o600 })
    } catch (error) {
      // A successor begins somewhere else at random, and heaps in use are claimed: this only makes it sure.
      this.#log(`cannot note the slot: ${String(error)}`)
    }
    return slot
  }

  #welcome(fd: number): void {
    let participant: ParticipantId | undefined
    const link = new ParticipantLink(fd, {
      hello: (version) => {
        participant = this.#join(link, version)
      },
      request: (request, fds) => {
        assert(participant !== undefined, 'requests come after the hello')
        this.#request(participant, request, fds)
      },
      gone: (why) => this.#leave(link, participant, why),
    })
    this.#strangers.add(link)
    clearTimeout(this.#idleTimer)
    const refusal = this.#standingOf(link) === undefined ? notServed('daemon', link.credentials) : this.#places.take(link, link.credentials.uid)
    if (refusal !== undefined) link.drop(refusal)
  }

  /** What a process may ask for, by what the kernel says it is; undefined for who is not served. */
  #standingOf({ credentials: { pid, uid } }: ParticipantLink): Standing | undefined {
    if (uid === userId()) return 'owner'
    if (this.#users.has(uid)) return 'user'
    return this.#orchestrator.isLaunched(pid, uid) ? 'program' : undefined
  }

  #join(link: ParticipantLink, version: number): ParticipantId {
    if (version !== PROTOCOL_VERSION) {
      throw new RpcError('FAILED_PRECONDITION', `the running daemon (process ${process.pid}) speaks protocol ${PROTOCOL_VERSION} and this ` +
        `process protocol ${version}: they come from different versions of rpcool. End the programs of the other version, or give one of ` +
        'them another RPCOOL_RUNTIME_DIR')
    }
    const participant = this.#nextParticipant++ as ParticipantId
    const standing = this.#standingOf(link)
    if (standing === undefined) throw new RpcError('PERMISSION_DENIED', 'the launcher of this program has gone')
    this.#handle({ type: 'joined', participant, ...link.credentials, standing })
    this.#strangers.delete(link)
    this.#links.set(participant, link)
    this.#log(`participant ${participant} is process ${link.credentials.pid}`)
    link.send({ type: 'welcome', version: PROTOCOL_VERSION, participant, pid: process.pid, boundary: this.#users.size > 0 ? 'named-users' : 'same-user' })
    return participant
  }

  #leave(link: ParticipantLink, participant: ParticipantId | undefined, why: RpcError | undefined): void {
    this.#log(`participant ${participant ?? '(no hello)'}, process ${link.credentials.pid}, is gone${why === undefined ? '' : `: ${why.message}`}`)
    this.#strangers.delete(link)
    this.#places.giveBack(link)
    if (participant !== undefined) {
      this.#links.delete(participant)
      this.#handle({ type: 'left', participant })
    }
    this.#awaitIdleness()
  }

  #awaitIdleness(): void {
    if (!this.#open || this.#links.size + this.#strangers.size > 0) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      this.#acceptor.acceptWaiting()
      if (this.#links.size + this.#strangers.size > 0) return
      this.#book.closeUnused()
      this.stop('nobody needs it')
    }, this.#options.idleMs)
  }

  #request(participant: ParticipantId, request: Request, fds: number[]): void {
    if (request.type === 'register' || request.type === 'claimChannel') this.#noticeDeathOfServer(request.channel, participant)
    if (request.type === 'claimChannel') checkClaimedFiles(request.heaps, fds)
    if (request.type === 'claimPrepared') checkClaimedFiles([request], fds)
    this.#handle({ type: 'request', participant, message: request }, fds)
  }

  /** A server's successor may be heard before its predecessor's end. */
  #noticeDeathOfServer(channel: string, successor: ParticipantId): void {
    const server = this.#orchestrator.serverOf(channel)
    if (server !== undefined && server !== successor) this.#links.get(server)?.drain()
  }

  #handle(event: Event, fds: number[] = []): void {
    // A participant's end may be noticed while its own messages are read.
    if (event.type === 'request' && !this.#links.has(event.participant)) return
    const received = [...fds]
    for (const effect of this.#orchestrator.handle(event, performance.now())) {
      const failure = this.#carryOut(effect, received, fds)
      if (failure === undefined) continue
      this.#handle({ type: 'createFailed', ...failure })
      break
    }
    this.#watchTime()
  }

  #watchTime(): void {
    if (this.#ticker === undefined && this.#open && this.#orchestrator.waiting) this.#ticker = setInterval(() => this.#tick(), TICK_MS)
  }

  #tick(): void {
    this.#handle({ type: 'tick' })
    if (this.#orchestrator.waiting) return
    clearInterval(this.#ticker)
    this.#ticker = undefined
  }

  #carryOut(effect: Effect, received: readonly number[], left: number[]): Omit<Extract<Event, { type: 'createFailed' }>, 'type'> | undefined {
    switch (effect.kind) {
      case 'create':
        try {
          this.#files.create(effect.heap, effect.label, effect.byteLength, effect.toPublish)
        } catch (error) {
          return { heap: effect.heap, undo: effect.undo, failure: exhaustion(error, effect.byteLength) }
        }
        return undefined
      case 'adopt': {
        const fd = received[effect.index]!
        left.splice(left.indexOf(fd), 1)
        this.#files.adopt(effect.heap, fd)
        return undefined
      }
      case 'close':
        this.#files.drop(effect.heap)
        return undefined
      case 'send': {
        const { fds, done } = this.#files.use(effect.files)
        const link = this.#links.get(effect.to)
        if (link === undefined) done()
        else link.send(effect.message, fds, done)
        return undefined
      }
      case 'saveSlot':
        this.#saveSlot(effect.slot)
        return undefined
      case 'enter':
        this.#book.enter(effect.entry)
        return undefined
      case 'strike':
        this.#book.strike(effect.attachment)
        return undefined
      case 'enterName':
        this.#book.enterName(effect.entry)
        return undefined
      case 'strikeName':
        this.#book.strikeName(effect.number)
        return undefined
      default:
        return unreachable(effect)
    }
  }

  #log(line: string): void {
    if (!this.#options.debug) return
    try {
      appendFileSync(daemonLog(this.#options.directory), `${new Date().toISOString()} ${line}\n`, { mode: 0o600 })
    } catch {
      // The directory was removed, or the disk is full: no reason to end.
    }
  }
}

/** Throws FAILED_PRECONDITION unless the files are what they are said to be, so that those to come can map them. */
function checkClaimedFiles(heaps: ReadonlyArray<{ readonly byteLength: number }>, fds: readonly number[]): void {
  if (heaps.length !== fds.length) throw new RpcError('INVALID_ARGUMENT', `${fds.length} files came with a claim of ${heaps.length} heaps`)
  for (const [index, fd] of fds.entries()) {
    try {
      checkMemoryFile(fd, heaps[index]!.byteLength)
    } catch (cause) {
      throw new RpcError('FAILED_PRECONDITION', `a claimed heap came with a file that does not fit: ${String(cause)}`, { cause })
    }
  }
}

function exhaustion(error: unknown, byteLength: number): Failure {
  const code = errnoCode(error)
  if (code === undefined) throw error
  const message = `the daemon cannot make a memory file of ${byteLength} bytes: ${String(error)}`
  return { code: EXHAUSTION.has(code) ? 'RESOURCE_EXHAUSTED' : 'INTERNAL', message }
}
