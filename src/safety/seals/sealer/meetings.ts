import { RpcError } from '../../../base/errors.js'
import { failureOf } from '../../../control/protocol/errors.js'
import { addon } from '../../../sys/index.js'
import { heapKey, type SealerRequest, type SenderAttachment } from '../messages.js'
import type { PreparedHeap } from './prepared-heaps.js'
import type { SealerLink } from './sealer-link.js'

/** How long one end waits for the other, also after a restart of the sealer. */
export const MEETING_MS = 5000
/** Ends of one process that wait for their others: as many as connections may wait for a server's decision, for two of its threads. */
const WAITING_PER_PROCESS_MAX = 512

export interface SenderAtMeeting {
  readonly link: SealerLink
  readonly request: SenderAttachment
  /** The sender's userfaultfd; none of a prepared heap. */
  readonly fd: number
  readonly prepared: PreparedHeap | undefined
}

export interface ReceiverAtMeeting {
  readonly link: SealerLink
  readonly request: Extract<SealerRequest, { type: 'attachReceiver' }>
  /** The heap's file. */
  readonly fd: number
  readonly prepared?: undefined
}

interface Meeting {
  sender: SenderAtMeeting | undefined
  receiver: ReceiverAtMeeting | undefined
  readonly timer: NodeJS.Timeout
}

/** The ends of heaps to be sealed, each waiting for the other, and both for a prepared heap that an earlier connection still uses. */
export class Meetings {
  readonly #meetings = new Map<string, Meeting>()
  /** How many ends of each process wait. */
  readonly #waiting = new Map<number, number>()
  /** Takes over the descriptors of both. */
  readonly #join: (key: string, sender: SenderAtMeeting, receiver: ReceiverAtMeeting) => void

  constructor(join: (key: string, sender: SenderAtMeeting, receiver: ReceiverAtMeeting) => void) {
    this.#join = join
  }

  get count(): number {
    return this.#meetings.size
  }

  /** Takes over the end's descriptor. Throws ALREADY_EXISTS when this end is there already, RESOURCE_EXHAUSTED when too many of its process wait. */
  bring(end: SenderAtMeeting | ReceiverAtMeeting): void {
    const { pid } = end.link.credentials
    const waiting = this.#waiting.get(pid) ?? 0
    if (waiting >= WAITING_PER_PROCESS_MAX) {
      closeEnd(end)
      throw new RpcError('RESOURCE_EXHAUSTED', `${waiting} ends of heaps of process ${pid} wait for their other ends already`)
    }
    const key = heapKey(end.request)
    const meeting = this.#meetings.get(key) ?? this.#start(key)
    if ((isSender(end) ? meeting.sender : meeting.receiver) !== undefined) {
      closeEnd(end)
      throw new RpcError('ALREADY_EXISTS', 'this end of the heap is attached already')
    }
    this.#waiting.set(pid, waiting + 1)
    if (isSender(end)) meeting.sender = end
    else meeting.receiver = end
    this.#tryJoin(key, meeting)
  }

  /** Nobody uses the prepared heap any more. */
  freed(prepared: PreparedHeap): void {
    for (const [key, meeting] of this.#meetings) if (meeting.sender?.prepared === prepared) this.#tryJoin(key, meeting)
  }

  leave(link: SealerLink): void {
    for (const [key, { sender, receiver }] of this.#meetings) {
      if (sender?.link === link || receiver?.link === link) this.#giveUp(key, new RpcError('UNAVAILABLE', 'the other end left'))
    }
  }

  close(): void {
    for (const key of this.#meetings.keys()) this.#giveUp(key, new RpcError('UNAVAILABLE', 'the sealer ends'))
  }

  #start(key: string): Meeting {
    const meeting: Meeting = { sender: undefined, receiver: undefined, timer: setTimeout(() => this.#late(key), MEETING_MS) }
    this.#meetings.set(key, meeting)
    return meeting
  }

  #tryJoin(key: string, { sender, receiver, timer }: Meeting): void {
    if (sender === undefined || receiver === undefined || sender.prepared?.user !== undefined) return
    clearTimeout(timer)
    this.#meetings.delete(key)
    for (const end of [sender, receiver]) this.#waitsNoMore(end)
    this.#join(key, sender, receiver)
  }

  #waitsNoMore({ link: { credentials: { pid } } }: SenderAtMeeting | ReceiverAtMeeting): void {
    const left = (this.#waiting.get(pid) ?? 0) - 1
    if (left > 0) this.#waiting.set(pid, left)
    else this.#waiting.delete(pid)
  }

  #late(key: string): void {
    const isBusy = this.#meetings.get(key)?.sender?.prepared?.user !== undefined
    const whose = isBusy ? 'an earlier connection\'s server did not let go of the prepared heap' : 'the other end did not attach'
    this.#giveUp(key, new RpcError('DEADLINE_EXCEEDED', `${whose} within ${MEETING_MS} ms`))
  }

  #giveUp(key: string, error: RpcError): void {
    const meeting = this.#meetings.get(key)
    if (meeting === undefined) return
    clearTimeout(meeting.timer)
    this.#meetings.delete(key)
    for (const one of [meeting.sender, meeting.receiver]) {
      if (one === undefined) continue
      this.#waitsNoMore(one)
      closeEnd(one)
      one.link.send({ type: 'error', id: one.request.id, ...failureOf(error) })
    }
  }
}

function isSender(end: SenderAtMeeting | ReceiverAtMeeting): end is SenderAtMeeting {
  return end.request.type === 'attachSender'
}

function closeEnd({ fd }: SenderAtMeeting | ReceiverAtMeeting): void {
  if (fd >= 0) addon.closeFd(fd)
}
