// Many documents put, as many in flight as the connection carries.
import { RpcError } from 'rpcool'
import { type Handed, type Link, type Outcome, outcomeOf, type Run } from './link.js'
import type { Json } from './store/values.js'

export interface Bulk {
  /** Throws what is wrong with the document, or RpcError when the store is gone. */
  put(key: string, body: Json): void
  /** Waits for all answers; returns the first error. */
  end(): RpcError | undefined
  /** How many took the place of a document, of those that were answered. */
  readonly replaced: number
}

/**
 * Into a trusting store documents go by the run, into an isolated one, which copies them from memory of their call, one by one. (Runs that
 * the store copies were tried: 60,000 documents took 2.0 to 2.6 s, one by one 1.9 to 2.1.)
 */
export function bulkPut(link: Link): Bulk {
  return link.mode === 'trusting' ? new BulkOfRuns(link) : new BulkOfCalls(link)
}

interface Answers extends Disposable {
  wait(): void
  poll(onResult: (replaced: number | boolean) => void): number
}

/** What was handed over, the oldest first, and what became of it. */
class InFlight<T> {
  readonly #handed: T[] = []
  failed: RpcError | undefined
  replaced = 0

  /** @param settle called once for each. */
  constructor(private readonly answers: Answers, private readonly settle: (handed: T, outcome: Outcome) => void) {}

  get isEmpty(): boolean {
    return this.#handed.length === 0
  }

  add(handed: T): void {
    this.#handed.push(handed)
  }

  /** Blocks until at least one is answered. Throws RpcError when no answer comes: to none of them, then. */
  take(): void {
    try {
      this.answers.wait()
      this.answers.poll((replaced) => {
        this.replaced += Number(replaced)
        this.#settleFirst('taken')
      })
    } catch (error) {
      if (!RpcError.is(error)) throw error
      const outcome = outcomeOf(error)
      if (outcome === 'unanswered') {
        while (!this.isEmpty) this.#settleFirst(outcome)
        this.answers[Symbol.dispose]()
        throw error
      }
      // The failed one is behind those that were handed over.
      this.#settleFirst(outcome)
      this.failed ??= error
    }
  }

  #settleFirst(outcome: Outcome): void {
    const handed = this.#handed.shift()
    if (handed !== undefined) this.settle(handed, outcome)
  }
}

class BulkOfRuns implements Bulk {
  readonly #link: Link
  readonly #pipeline
  readonly #inFlight: InFlight<Run>
  #run: Run | undefined

  constructor(link: Link) {
    this.#link = link
    this.#pipeline = link.connection.pipeline('putRun')
    this.#inFlight = new InFlight(this.#pipeline, (run: Run, outcome) => link.settle(run, outcome))
  }

  get replaced(): number {
    return this.#inFlight.replaced
  }

  put(key: string, body: Json): void {
    const run = this.#run ??= this.#freeRun()
    run.add(key, body)
    if (run.isFull) this.#send()
  }

  end(): RpcError | undefined {
    this.#send()
    while (!this.#inFlight.isEmpty) this.#inFlight.take()
    return this.#inFlight.failed
  }

  #freeRun(): Run {
    for (;;) {
      const run = this.#link.takeRun()
      if (run !== undefined) return run
      if (this.#inFlight.isEmpty) throw new RpcError('FAILED_PRECONDITION', 'putAll is called while the entries of other ones are being made')
      this.#inFlight.take()
    }
  }

  #send(): void {
    const run = this.#run
    if (run === undefined) return
    this.#run = undefined
    try {
      while (!this.#pipeline.submit(run.argument)) this.#inFlight.take()
    } catch (error) {
      this.#link.settle(run, 'refused')
      throw error
    }
    this.#inFlight.add(run)
  }
}

class BulkOfCalls implements Bulk {
  readonly #link: Link
  readonly #pipeline
  readonly #inFlight: InFlight<Handed>

  constructor(link: Link) {
    this.#link = link
    this.#pipeline = link.connection.pipeline('put')
    this.#inFlight = new InFlight(this.#pipeline, (handed: Handed, outcome) => handed.settle(outcome))
  }

  get replaced(): number {
    return this.#inFlight.replaced
  }

  put(key: string, body: Json): void {
    const handed = this.#link.hand(key, body)
    while (!this.#pipeline.submit(handed.argument)) this.#inFlight.take()
    this.#inFlight.add(handed)
  }

  end(): RpcError | undefined {
    while (!this.#inFlight.isEmpty) this.#inFlight.take()
    return this.#inFlight.failed
  }
}
