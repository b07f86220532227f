import { RpcError, Status, WildPointerError } from '../../base/errors.js'
import { loadPublished, publishWord } from '../../base/ordering.js'
import { Answer, ControlWord, Line, NO_METHOD, Request, Slot, slotWord } from '../../layout/control-layout.js'
import type { HeapSet, Region } from '../../memory/index.js'
import { stackOverflow } from '../../safety/index.js'
import { ArgumentGuard, SEAL_BROKE } from './argument-guard.js'
import { Cancellations } from './cancellations.js'
import { End } from '../waiting/end.js'
import type { HotSet } from './hot-set.js'
import { Replies } from './replies.js'
import { HotTime } from '../waiting/hot-time.js'
import type { ServerMethod } from '../service/method.js'
import type { MethodTable } from './method-table.js'
import type { Poller } from '../waiting/poller.js'
import { errorCell, errorSentence, isPromise, messageOf, withoutPrivateView } from '../service/results.js'
import { type CallerIdentity, type CallHost, ServerCall } from './server-call.js'
import type { WaitingPolicy } from '../waiting/waiting.js'

/** Requests that may arrive just while a connection outside the hot set goes to sleep, before it waits for its turn. */
const CROSSINGS_MAX = 64
/** Requests that are taken before anything else is looked at. */
const BATCH_MAX = 8

export interface ServerEndOptions extends Omit<CallHost, 'watchCancellation'> {
  readonly slots: number
  readonly policy: WaitingPolicy
  readonly methods: MethodTable
  readonly caller: CallerIdentity
  /** Given to handlers that take it. */
  readonly peer: unknown
  /** Bytes of private copies of arguments at a time. */
  readonly snapshotBytes?: number | undefined
  /** The doorbell has ended. */
  onGone(crashed: boolean): void
  /** A handler threw something that is not an RpcError. */
  onHandlerError(error: unknown, method: string): void
}

const AWAITED = 0
/** A handler that returned a promise works on it. */
const IN_HANDLER = 1

/** The server's end of one connection: takes requests from the ring, runs handlers, answers in the same line. */
export class ServerEnd extends End {
  /** For each slot: the word of the request that comes next, or of the one in the handler. */
  readonly #sequence: Int32Array
  readonly #state: Uint8Array
  readonly #replies: Replies
  readonly #cancellations = new Cancellations(({ slot }) => Atomics.load(this.words, slotWord(slot) + Slot.CANCELLED) === this.#sequence[slot])
  /** Of the result that is about to be published. */
  readonly #cell = new Int32Array(2)
  readonly #mask: number
  readonly #host: CallHost
  readonly #methods: MethodTable
  readonly #reading: Region
  /** The slot that the client has announced for its next request. */
  #expected = 0
  #inHandlers = 0
  readonly #hotTime: HotTime
  /** A ring after it was not needless: the client may have looked before its request was taken. */
  #tookSinceRung = false
  /** Whether the client slept was looked at without a fence after the last answer. */
  #unfenced = false
  /** Made for the client's seals, or for the first call of a method with isolation. */
  #guard: ArgumentGuard | null = null
  #closing = false
  #gone = false
  readonly #drained: (() => void)[] = []

  constructor(
    words: Int32Array, readonly heaps: HeapSet, doorbellFd: number, poller: Poller, readonly hotSet: HotSet,
    readonly options: ServerEndOptions,
  ) {
    super(words, ControlWord.SERVER_LINE, ControlWord.CLIENT_LINE, doorbellFd, poller, options.policy, options.policy.serverHotMs)
    const { slots } = options
    this.#mask = slots - 1
    this.#hotTime = new HotTime(this.hotMs)
    this.#methods = options.methods
    this.#reading = heaps.heaps[0]!.region
    this.#sequence = new Int32Array(slots).fill(1)
    this.#state = new Uint8Array(slots)
    this.#replies = new Replies(heaps, slots)
    this.#host = {
      channel: options.channel,
      caller: options.caller,
      heap: options.heap,
      watchCancellation: (call) => this.watchCancellation(call),
    }
    // One that finds no place among the polled ones sleeps, whatever the policy.
    if (this.hotMs === Infinity && this.hotSet.enter(this)) return
    // Not before the connection knows its end: what is there already may end it.
    if (!this.sleep()) setImmediate(() => void (this.#gone || this.rung()))
  }

  /** Handlers that have not answered yet. */
  get inHandlers(): number {
    return this.#inHandlers
  }

  /** What keeps arguments from changing. */
  get isolation(): ArgumentGuard {
    return (this.#guard ??= new ArgumentGuard(this.heaps, this.options.slots, this.options.snapshotBytes))
  }

  /** Tells the client what became of its seals: it looks from time to time, as long as it attaches. */
  tellSeals(state: number): void {
    if (!this.isUnmapped) Atomics.store(this.words, this.line + Line.SEALS, state)
  }

  poll(): number {
    let taken = 0
    while (taken < BATCH_MAX && !this.#gone && this.#isHere()) {
      this.#take(this.#expected)
      taken++
    }
    if (taken > 0) this.#finishBatch()
    return taken
  }

  /** A client that fell asleep just when the last answer was published is woken. */
  #finishBatch(): void {
    if (!this.#unfenced || this.#gone) return
    this.#unfenced = false
    this.wakePeer()
  }

  /** The request that the client has announced. */
  #isHere(): boolean {
    return loadPublished(this.words, slotWord(this.#expected)) === this.#sequence[this.#expected]
  }

  override stayHot(now: number): void {
    // An end that is never at rest hears of cancellations, too.
    if (this.#cancellations.areAwaited) this.#cancellations.look(this.peerCancels())
    super.stayHot(now)
  }

  override rest(now: number): boolean {
    if (this.#cancellations.areAwaited) this.#cancellations.look(this.peerCancels())
    if (!super.rest(now)) return false
    this.hotSet.leave(this)
    this.#hotTime.sleeps(now === Infinity ? performance.now() : now)
    return true
  }

  protected override timeToStayHot(): number {
    return this.#hotTime.ms
  }

  /** Refuses further calls and resolves when every handler has ended. */
  drain(): Promise<void> {
    this.#closing = true
    this.announceClosing()
    if (this.#inHandlers === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#drained.push(resolve)
    })
  }

  /** Ends the connection on this side. Handlers still at work have their signals aborted. Idempotent. */
  close(): void {
    if (this.#gone) return
    this.announceClosing()
    this.doorbell.close()
    this.#end('the server closes the connection')
  }

  watchCancellation(call: ServerCall): void {
    if (this.#gone) call.abort(new RpcError('CANCELLED', 'the client is gone'))
    else this.#cancellations.watch(call)
  }

  protected override ready(): boolean {
    return this.#isHere() || (this.#cancellations.areAwaited && this.#cancellations.hasNew(this.peerCancels()))
  }

  protected override expecting(): boolean {
    return !this.#gone
  }

  protected override rung(): boolean {
    this.awake()
    this.#hotTime.woken(performance.now())
    const wanted = this.#tookSinceRung
    this.#tookSinceRung = false
    let handled = this.#cancellations.look(this.peerCancels()) ? 1 : 0
    handled += this.poll()
    if (this.#gone) return true
    // Handled outside the loop, but a sign of more to come all the same: the loop starts the end's hot time by it.
    if (handled > 0) this.active = true
    // Calls that come alone are not worth a turn of the loop, each of which asks the kernel for events.
    if (this.#hotTime.ms === 0 && this.hotMs > 0) this.#hotTime.sleeps(performance.now())
    else if (this.hotMs > 0 && this.hotSet.enter(this)) return handled > 0 || wanted
    // Neither hot nor in the hot set: answer what is there and sleep again. When requests keep coming, others get their turn.
    for (let crossings = 0; !this.#gone && !this.sleep(); handled += this.poll()) {
      if (++crossings < CROSSINGS_MAX) continue
      setImmediate(() => void (this.#gone || this.rung()))
      break
    }
    return handled > 0 || wanted
  }

  protected override peerGone(): void {
    const closing = this.peerIsClosing()
    this.#end('the client is gone')
    this.options.onGone(!closing)
  }

  /** The client does not keep to the protocol: nothing it says can be relied on. */
  #expel(): void {
    this.doorbell.close()
    this.#end('the client broke the protocol')
    this.options.onGone(true)
  }

  #end(reason: string): void {
    this.#gone = true
    this.hotSet.leave(this)
    this.poller.remove(this)
    this.#cancellations.end(reason)
    this.#replies.close()
  }

  #take(slot: number): void {
    const { words } = this
    const at = slotWord(slot)
    const id = words[at + Slot.METHOD]! >>> 0
    const request = words[at + Slot.REQUEST]!
    const low = words[at + Slot.ARGUMENT]!
    const high = words[at + Slot.ARGUMENT + 1]!
    const next = request >>> Request.NEXT_SHIFT
    if (next > this.#mask || next === slot || this.#state[next] !== AWAITED) {
      this.#expel()
      return
    }
    this.#expected = next
    this.#tookSinceRung = true
    this.#hotTime.message()
    this.#replies.takeBack(slot, (request & Request.RETURNS_RESULT) !== 0)
    const method = this.#methods.get(id)
    if (method === undefined || this.#closing) {
      if ((request & Request.HAS_SEAL) !== 0) this.#guard?.dismiss(words, at)
      if (id === NO_METHOD) {
        if ((request & Request.COLLECT) !== 0) this.#replies.collect()
        this.#publish(slot, Status.UNIMPLEMENTED, undefined)
        return
      }
      this.#refuse(slot, method === undefined
        ? new RpcError('UNIMPLEMENTED', `the server has no method with number ${id}`)
        : new RpcError('UNAVAILABLE', 'the server is shutting down; connect again'))
      return
    }
    const { handler } = method
    const context = handler.takes === 'call' ? new ServerCall(this.#host, method.name, slot, words, request) : undefined
    let result: unknown
    let isLater: boolean
    try {
      let argument: unknown
      if ((method.isolation !== 'none' || (request & Request.HAS_SEAL) !== 0) && !method.argument.isImmediate) {
        argument = this.isolation.read(method, words, at, slot, request, low, high, context)
      } else if (!method.argument.isNothing) {
        if (!method.argument.isImmediate) this.heaps.refill()
        argument = method.argument.cell.read(this.#reading, low, high)
      }
      if (handler.takes === 'argument') result = handler.run.call(handler.self, argument)
      else if (handler.takes === 'peer') result = handler.run.call(handler.self, this.options.peer, argument)
      else result = handler.run.call(handler.self, argument, context!)
      // Looking for `then` runs code of the result: a getter, or a proxy over what the client wrote.
      isLater = typeof result === 'object' && result !== null && isPromise(result)
    } catch (error) {
      this.#answerError(slot, blamed(error, method), method.name, context)
      return
    }
    if (isLater) this.#finishLater(slot, method, result as PromiseLike<unknown>, context)
    else if (method.result.isNothing) this.#publish(slot, 0, context)
    else this.#answer(slot, method, result, context)
  }

  #finishLater(slot: number, method: ServerMethod, result: PromiseLike<unknown>, context: ServerCall | undefined): void {
    this.#state[slot] = IN_HANDLER
    this.#inHandlers++
    this.poller.interrupt()
    const settled = (): boolean => {
      this.#inHandlers--
      this.#state[slot] = AWAITED
      if (this.#inHandlers === 0) for (const resolve of this.#drained.splice(0)) resolve()
      return !this.#gone
    }
    // Whatever it is that can be awaited: now it settles once, and throws nothing here.
    Promise.resolve(result).then(
      (value) => {
        if (!settled()) return
        if (method.result.isNothing) this.#publish(slot, 0, context)
        else this.#answer(slot, method, value, context)
        this.#finishBatch()
      },
      (error: unknown) => {
        if (!settled()) return
        this.#answerError(slot, blamed(error, method), method.name, context)
        this.#finishBatch()
      },
    )
  }

  #answer(slot: number, method: ServerMethod, value: unknown, context: ServerCall | undefined): void {
    let answer: number = Status.OK
    try {
      const { cell, isImmediate } = method.result
      if (isImmediate) cell.write(this.heaps, value, this.#cell, 0)
      else if (this.#replies.write(slot, cell, this.#guard === null ? value : withoutPrivateView(value), this.#cell)) answer |= Answer.OWNED
    } catch (error) {
      this.#answerError(slot, this.#resultError(error, method.name), method.name, context)
      return
    }
    this.#publishResult(slot, answer, context)
  }

  /** A result of the wrong type is the server's mistake: told there, and not blamed on the client. */
  #resultError(error: unknown, method: string): unknown {
    // A wild pointer in what it gives back of its argument is the client's.
    if (!RpcError.is(error) || error.code !== 'INVALID_ARGUMENT' || error instanceof WildPointerError) return error
    const wrong = new RpcError('INTERNAL', `the handler's result does not fit its type: ${error.sentence}`, { cause: error })
    this.options.onHandlerError(wrong, method)
    return wrong
  }

  /** Answers with the result in {@link #cell}. The client polls the line: written in one go it crosses once. */
  #publishResult(slot: number, answer: number, context: ServerCall | undefined): void {
    const { words } = this
    const at = slotWord(slot)
    if ((answer & Answer.OWNED) !== 0) answer |= this.#replies.name(slot, words, at)
    words[at + Slot.RESULT] = this.#cell[0]!
    words[at + Slot.RESULT + 1] = this.#cell[1]!
    this.#publish(slot, answer, context)
  }

  #publish(slot: number, answer: number, context: ServerCall | undefined): void {
    const at = slotWord(slot)
    if (context !== undefined) this.#forget(context)
    if (this.#guard !== null && this.#endIsolation(this.#guard, slot, answer)) return
    // The client has written 0: one store less into a line that it polls.
    if (answer !== 0) this.words[at + Slot.ANSWER] = answer
    const sequence = this.#sequence[slot]!
    this.#sequence[slot] = (sequence + 2) | 0
    // Pairs with the client's load of the word.
    publishWord(this.words, at, (sequence + 1) | 0)
    this.#unfenced = !this.wakeSleeper()
  }

  /** Whether another answer was given in place of this one: its argument could have changed under its handler. */
  #endIsolation(guard: ArgumentGuard, slot: number, answer: number): boolean {
    if (guard.release(slot) || (answer & Answer.STATUS) !== 0) return false
    this.#refuse(slot, SEAL_BROKE)
    return true
  }

  #forget(context: ServerCall): void {
    context.finish()
    this.#cancellations.forget(context)
  }

  #refuse(slot: number, error: RpcError): void {
    let answer: number = error.status
    try {
      if (this.#replies.write(slot, errorCell, errorSentence(error), this.#cell)) answer |= Answer.OWNED
    } catch {
      // No room even for the message: the status alone tells.
      this.#cell.fill(0)
    }
    this.#publishResult(slot, answer, undefined)
  }

  #answerError(slot: number, error: unknown, method: string, context: ServerCall | undefined): void {
    if (context !== undefined) this.#forget(context)
    // A handler that was told to stop, and fails therefore, has not failed.
    const known = RpcError.is(error) && error.status !== Status.OK ? error : context?.abortReason
    if (known !== undefined) {
      this.#refuse(slot, known)
      return
    }
    // What went wrong inside a handler is the server's business; its client learns the message only.
    this.options.onHandlerError(error, method)
    this.#refuse(slot, new RpcError('UNKNOWN', messageOf(error)))
  }
}

/** Under isolation data that is nested too deep for its handler is the client's, as a wild pointer is. */
function blamed(error: unknown, { isolation }: ServerMethod): unknown {
  return isolation === 'none' ? error : stackOverflow(error) ?? error
}
