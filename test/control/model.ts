// A world around the orchestrator without sockets or files: participants that do what messages tell them.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Notice, Request } from '../../src/control/protocol/messages.js'
import { Orchestrator, type Event } from '../../src/control/orchestrator/orchestrator.js'
import type { BookEntry, ChannelRecord, CounterRecord, Effect, HeapRecord, NameEntry, ParticipantRecord, ConnectionRecord, SlotRecord } from '../../src/control/orchestrator/state.js'
import { EXPECTED_MS } from '../../src/control/protocol/limits.js'
import { MemoryStore } from '../../src/control/orchestrator/store.js'
import type { Attachment, ConnectionEnd, HeapId, MemoryDescription, ParticipantId, Standing } from '../../src/control/protocol/types.js'

export const FOUR_GIB = 2 ** 32
/** As every daemon of one directory does it. */
export const sign = (text: string): string => createHash('md5').update(`the key ${text}`).digest('hex')
const TABLES = ['participants', 'channels', 'connections', 'heaps', 'slots', 'timers', 'prepared', 'names']

interface ModelEnd extends ConnectionEnd {
  readonly channel: string
  readonly token: string
  readonly control: Attachment
}

interface Who {
  readonly pid: number
  readonly uid: number
  readonly standing: Standing
}

/** What one participant knows from the messages it got. */
export class ModelParticipant {
  readonly inbox: Notice[] = []
  readonly outstanding = new Set<number>()
  readonly answered: number[] = []
  readonly undecided: ModelEnd[] = []
  readonly ends: ModelEnd[] = []
  readonly memory: MemoryDescription[] = []
  readonly channels = new Map<string, MemoryDescription[]>()
  nextRequest = 1

  constructor(public id: ParticipantId, readonly who: Who) {}

  take(notice: Notice): void {
    this.inbox.push(notice)
    if ('id' in notice) {
      assert.ok(this.outstanding.delete(notice.id), `request ${notice.id} was answered twice, or never asked`)
      this.answered.push(notice.id)
    }
    if (notice.type === 'opened') {
      this.ends.push({ id: notice.connection, end: 'client', channel: '', token: notice.token, control: notice.control })
      this.memory.push(notice.control, ...notice.heaps)
    } else if (notice.type === 'incoming') {
      this.undecided.push({ id: notice.connection, end: 'server', channel: notice.channel, token: notice.token, control: notice.control })
      this.memory.push(notice.control, ...notice.heaps)
    } else if (notice.type === 'grown' || notice.type === 'heapAdded' || notice.type === 'prepared') {
      this.memory.push(notice.memory)
    } else if (notice.type === 'registered') {
      this.memory.push(...notice.heaps)
    }
  }
}

export class World {
  store = new MemoryStore()
  orchestrator: Orchestrator
  readonly participants: ModelParticipant[] = []
  readonly files = new Set<HeapId>()
  /** As the daemon keeps it: what its successor finds. */
  readonly book = new Map<string, BookEntry>()
  readonly names = new Map<number, NameEntry>()
  /** Every address range handed out, by heap. */
  readonly handedOut = new Map<HeapId, { address: number, byteLength: number }>()
  now = 0
  #nextParticipant = 1
  /** Creations that will fail. */
  failCreations = 0
  /** Creations that succeed before those that fail. */
  sparedCreations = 0

  constructor(firstId = 1, firstSlot = 0, book: readonly BookEntry[] = []) {
    for (const entry of book) this.book.set(`${entry.heap}/${entry.member}`, entry)
    this.orchestrator = this.#start(firstId, firstSlot)
  }

  #start(firstId: number, firstSlot: number): Orchestrator {
    return new Orchestrator({ store: this.store, firstId, firstSlot, sign, now: this.now, book: [...this.book.values()], names: [...this.names.values()], expectedMs: EXPECTED_MS })
  }

  join(who: Partial<Who> = {}): ModelParticipant {
    const id = this.#nextParticipant++ as ParticipantId
    const participant = new ModelParticipant(id, { pid: 100 + id, uid: 1, standing: 'owner', ...who })
    this.participants.push(participant)
    this.handle({ type: 'joined', participant: id, gid: 1, ...participant.who })
    return participant
  }

  leave(participant: ModelParticipant): void {
    this.participants.splice(this.participants.indexOf(participant), 1)
    this.handle({ type: 'left', participant: participant.id })
  }

  ask(participant: ModelParticipant, question: Record<string, unknown> & { type: Request['type'] }): Notice | undefined {
    const id = participant.nextRequest++
    participant.outstanding.add(id)
    this.post(participant, { ...question, id } as unknown as Request)
    return participant.inbox.findLast((notice) => 'id' in notice && notice.id === id)
  }

  post(participant: ModelParticipant, message: Request): void {
    this.handle({ type: 'request', participant: participant.id, message })
  }

  handle(event: Event): void {
    for (const effect of this.orchestrator.handle(event, this.now)) {
      const failed = this.#carryOut(effect)
      if (failed !== undefined) return this.handle(failed)
    }
  }

  #carryOut(effect: Effect): Event | undefined {
    if (effect.kind === 'create') {
      if (this.sparedCreations > 0) {
        this.sparedCreations--
      } else if (this.failCreations > 0) {
        this.failCreations--
        return { type: 'createFailed', heap: effect.heap, undo: effect.undo, failure: { code: 'RESOURCE_EXHAUSTED', message: 'no memory' } }
      }
      assert.ok(!this.files.has(effect.heap), 'a file is made once')
      this.files.add(effect.heap)
    } else if (effect.kind === 'adopt') {
      assert.ok(!this.files.has(effect.heap), 'a file is adopted once')
      this.files.add(effect.heap)
    } else if (effect.kind === 'close') {
      this.files.delete(effect.heap)
    } else if (effect.kind === 'enter') {
      const key = `${effect.entry.heap}/${effect.entry.member}`
      assert.ok(!this.book.has(key), 'an attachment is entered once')
      this.book.set(key, effect.entry)
    } else if (effect.kind === 'strike') {
      this.book.delete(`${effect.attachment.heap}/${effect.attachment.member}`)
    } else if (effect.kind === 'enterName') {
      this.names.set(effect.entry.number, effect.entry)
    } else if (effect.kind === 'strikeName') {
      assert.ok(this.names.delete(effect.number), 'a name is struck once')
    } else if (effect.kind === 'send') {
      const receiver = this.participants.find(({ id }) => id === effect.to)
      assert.ok(receiver !== undefined, `a message ${effect.message.type} was sent to a participant that is gone`)
      for (const heap of effect.files) assert.ok(this.files.has(heap), 'a file that is sent is open')
      receiver.take(effect.message)
    }
    return undefined
  }

  table<T>(name: string): T[] {
    return [...this.store.list(name)].map(([, entry]) => entry.value as T)
  }

  /** A new daemon, which finds the book of the last one; participants get new ids and must claim. */
  restart(firstId: number, firstSlot: number): void {
    this.store = new MemoryStore()
    this.files.clear()
    this.orchestrator = this.#start(firstId, firstSlot)
    for (const participant of this.participants) {
      participant.id = this.#nextParticipant++ as ParticipantId
      participant.outstanding.clear()
      this.handle({ type: 'joined', participant: participant.id, gid: 1, ...participant.who })
    }
  }

  claim(participant: ModelParticipant, { heap, member, proof }: Pick<MemoryDescription, 'heap' | 'member' | 'proof'>): Notice | undefined {
    return this.ask(participant, { type: 'claimHeap', heap, member, highestMember: member, proof })
  }

  checkInvariants(): void {
    const heaps = this.table<HeapRecord>('heaps')
    const participants = new Map(this.table<ParticipantRecord>('participants').map((one) => [one.id, one]))
    const ranges = heaps.map(({ address, byteLength }) => [address as number, byteLength] as const).sort((a, b) => a[0] - b[0])
    for (const [index, [address, byteLength]] of ranges.entries()) {
      assert.ok(address >= 0x4001_0000_0000 && address + byteLength <= 0x5400_0000_0000, 'heaps lie in the window')
      assert.equal(Math.floor(address / FOUR_GIB), Math.floor((address + byteLength - 1) / FOUR_GIB), 'no heap crosses 4 GiB')
      const next = ranges[index + 1]
      assert.ok(next === undefined || address + byteLength <= next[0], 'heaps do not overlap')
    }
    const inSlots = this.table<SlotRecord>('slots').reduce((sum, slot) => sum + slot.ranges.length, 0)
    assert.equal(inSlots, heaps.length, 'slots hold exactly the heaps')
    for (const heap of heaps) {
      assert.ok(heap.held || heap.holders.length + heap.expected.length > 0, 'a heap is somebody\'s')
      assert.equal(heap.held, this.files.has(heap.id), 'the daemon holds the files that it says it holds')
      const members = [...heap.holders, ...heap.expected].map(({ member }) => member)
      assert.equal(new Set(members).size, members.length, 'members are unique')
      for (const member of members) assert.ok(this.book.has(`${heap.id}/${member}`), 'what was given out is in the book')
      for (const { participant, member } of heap.holders) {
        assert.ok(member >= 1 && member <= 1023, 'members fit their bits')
        assert.ok(participants.get(participant)?.attachments.some((one) => one.heap === heap.id && one.member === member), 'a holder knows its attachment')
      }
    }
    assert.equal(this.book.size, heaps.reduce((sum, { holders, expected }) => sum + holders.length + expected.length, 0), 'the book holds nothing else')
    assert.equal(this.names.size, this.table<ChannelRecord>('channels').length + this.table<NameEntry>('names').length, 'the book holds each name that is taken or expected')
    const counter = this.table<CounterRecord>('counters')[0]
    assert.ok(counter !== undefined)
    assert.equal(counter.heaps, heaps.length)
    assert.equal(counter.bytes, heaps.reduce((sum, heap) => sum + heap.byteLength, 0))
    assert.equal(counter.participants, participants.size)
    const attachments = [...participants.values()].reduce((sum, one) => sum + one.attachments.length, 0)
    assert.equal(attachments, heaps.reduce((sum, heap) => sum + heap.holders.length, 0), 'no attachment without a heap')
    for (const connection of this.table<ConnectionRecord>('connections')) {
      const ends = (['client', 'server'] as const).filter((end) => connection[end].participant !== undefined)
      assert.ok(ends.length === 2 || connection.stage === 'ended' || connection.stage === 'awaited', 'an open connection has two ends')
      for (const end of ends) {
        const record = participants.get(connection[end].participant!)
        assert.ok(record?.ends.some((one) => one.id === connection.id && one.end === end), 'an end is known to who holds it')
      }
    }
  }

  /** When everybody is gone nothing is left. */
  checkEmpty(): void {
    this.now += 1e9
    this.handle({ type: 'tick' })
    for (const name of TABLES) assert.deepEqual(this.table(name), [], `the table ${name} is empty`)
    assert.equal(this.files.size, 0, 'no file is open')
    this.checkInvariants()
  }
}
