// One service that has a method for every behaviour that the tests of calls look at, and its handlers.
import {
  array, bool, bytes, f64, type Handlers, i32, list, map, method, nothing, optional, ref, RpcError, service, type ServerCall, Status,
  type StatusName, struct, text, u32, union,
} from '../../src/index.js'

// A handler bounds what a client may make it do.
const RESULT_MAX = 10_000_000
const BUSY_MS_MAX = 1000
const SLEEP_MS_MAX = 5000

export const Point = struct('Point', { x: i32, y: i32, label: text })
export const Tree = struct('Tree', { value: u32, name: text, get children() { return list(ref(Tree)) } })
export const Chain = struct('Chain', { value: u32, get next() { return ref(Chain) } })
export const Bag = struct('Bag', {
  words: list(text), counts: map(text, u32), blob: bytes, note: optional(text), grid: array(i32, 4), shape: union({ circle: f64, point: Point }), on: bool,
})
export const Points = struct('Points', { items: list(Point) })
export const Failure = struct('Failure', { code: text, message: text })

export const Everything = service('everything', {
  nothing: method(1, nothing, nothing),
  add: method(2, Point, i32),
  echo: method(3, Point, Point),
  copy: method(4, Point, Point),
  text: method(5, text, text),
  fail: method(6, Failure, nothing),
  failOrdinary: method(7, text, nothing),
  failStrangely: method(8, text, nothing),
  sleep: method(9, u32, u32),
  hold: method(10, text, text),
  free: method(11, text, nothing),
  holdPoint: method(12, Point, i32),
  reasons: method(13, nothing, text),
  busy: method(14, u32, nothing),
  blob: method(15, u32, bytes),
  points: method(16, u32, Points),
  sumTree: method(17, Tree, u32),
  sumChain: method(18, Chain, u32),
  bag: method(19, Bag, Bag),
  made: method(20, Point, Point),
  remaining: method(21, nothing, f64),
  caller: method(22, nothing, u32),
  blobLength: method(23, bytes, u32),
  number: method(24, i32, i32),
})

/** What the handlers keep, so that a test can let them go and ask what happened to them. */
export class Gates {
  readonly #open = new Map<string, () => void>()
  readonly reasons: string[] = []
  /** What handlers read of their arguments at the end, whoever waits for it. */
  readonly sums: number[] = []

  /** Waits until somebody frees the key; a call that nobody waits for any more says so in `reasons`. */
  async pass(key: string, call: ServerCall): Promise<void> {
    const { signal } = call
    const note = (): void => {
      const reason: unknown = signal.reason
      this.reasons.push(`${key} ${RpcError.is(reason) ? reason.code : String(reason)}`)
    }
    if (signal.aborted) note()
    else signal.addEventListener('abort', note, { once: true })
    await new Promise<void>((resolve) => {
      this.#open.set(key, resolve)
    })
  }

  free(key: string): void {
    this.#open.get(key)?.()
    this.#open.delete(key)
  }

  freeAll(): void {
    for (const key of this.#open.keys()) this.free(key)
  }
}

function spin(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

interface TreeView {
  readonly value: number
  readonly children: Iterable<TreeView | null>
}

function sumTree(tree: TreeView): number {
  let sum = tree.value
  for (const child of tree.children) if (child !== null) sum += sumTree(child)
  return sum
}

export function everyHandler(gates: Gates): Handlers<(typeof Everything)['methods']> {
  return {
    nothing: () => undefined,
    add: ({ x, y, label }) => x + y + label.length,
    echo: (point) => point,
    copy: ({ x, y, label }) => ({ x, y, label }),
    text: (value) => value,
    fail: ({ code, message }) => {
      throw new RpcError(Object.hasOwn(Status, code) ? code as StatusName : 'UNKNOWN', message)
    },
    failOrdinary: (message) => {
      throw new TypeError(message)
    },
    failStrangely: async (how) => {
      // A handler is foreign code: it may throw anything.
      const thrown = {
        null: null, undefined, object: Object.create(null) as object, number: 42, status: new RpcError('OK', 'not an error'),
      } as unknown as Record<string, Error>
      await Promise.resolve()
      return Promise.reject(thrown[how]!)
    },
    sleep: async (ms) => {
      await new Promise((resolve) => setTimeout(resolve, Math.min(ms, SLEEP_MS_MAX)))
      return ms
    },
    hold: async (key, call) => {
      await gates.pass(key, call)
      return key
    },
    free: (key) => gates.free(key),
    holdPoint: async (point, call) => {
      await gates.pass(point.label, call)
      const sum = point.x + point.y
      gates.sums.push(sum)
      return sum
    },
    reasons: () => JSON.stringify(gates.reasons),
    busy: (ms) => spin(Math.min(ms, BUSY_MS_MAX)),
    blob: (length) => Uint8Array.from({ length: Math.min(length, RESULT_MAX) }, (_, i) => i & 255),
    points: (count) => ({ items: Array.from({ length: Math.min(count, RESULT_MAX / 100) }, (_, i) => ({ x: i, y: -i, label: `point ${i}` })) }),
    sumTree,
    sumChain: (chain) => {
      let sum = 0
      for (let node: typeof chain | null = chain; node !== null; node = node.next) sum += node.value
      return sum
    },
    bag: ({ words, counts, blob, note, grid, shape, on }) => ({ words, counts, blob, note, grid, shape, on }),
    made: ({ x, y, label }, { heap }) => heap.new(Point, { x: y, y: x, label }),
    remaining: (_, call) => call.remainingMs,
    caller: (_, call) => call.caller.pid,
    blobLength: (blob) => blob.length,
    number: (value) => value,
  }
}
