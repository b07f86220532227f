import { RpcError, WildPointerError } from '../../base/errors.js'
import { FOUR_GIB, makeAddress } from '../../base/numbers.js'
import { requireLimits } from '../../base/options.js'
import { Region, type PageRange, type RegionSpace, SCOPE_REGION } from '../../memory/index.js'
import { cellOf, isView, locationOf, typeOf, type AnyType, type Cell, type Plain, type View } from '../../objects/index.js'
import { copyIn } from './variables.js'
import type { WasmHandlers } from './wasm/handlers.js'
import type { WasmTarget } from './wasm/room.js'

/** Pointers that may be followed inside one run, unless asked otherwise. */
const POINTERS_MAX = 1 << 20
/** Runs inside runs. */
const NESTED_MAX = 16

/** What a run may do at most. */
export interface SandboxLimits {
  /** Pointers that may be followed; cyclic data ends there. 1,048,576 by default. */
  readonly maxPointers?: number
}

/** Makes results: the connection's heap, a scope, whatever has a `new`. */
export interface ReplyArea {
  readonly new: <T extends AnyType>(type: T, value: Plain<T>) => View<T>
}

/** Where a run takes its reply area from. */
export interface SandboxHost {
  readonly reply: ReplyArea
  /** Resolves the ranges that may be sandboxed. */
  readonly memory: RegionSpace
}

/** What a sandboxed function sees of shared memory. Ends with the run. */
export class Inside {
  readonly #region: Region
  readonly #reply: ReplyArea
  readonly #cells: Map<AnyType, Cell>
  #type: AnyType | undefined
  #cell: Cell | undefined

  /** @internal */
  constructor(region: Region, reply: ReplyArea, cells: Map<AnyType, Cell>) {
    this.#region = region
    this.#reply = reply
    this.#cells = cells
  }

  /**
   * The object at a native pointer.
   * @throws WildPointerError when it does not lie inside the sandbox, or is something else.
   */
  at<T extends AnyType>(type: T, address: number): View<T> {
    const high = Math.floor(address / FOUR_GIB)
    return this.#cellOf(type).read(this.#region, (address - high * FOUR_GIB) | 0, high) as View<T>
  }

  /** The object that a view stands for, as it is seen inside. @throws WildPointerError when it lies elsewhere. */
  view<V extends object>(view: V): V {
    const { region, word } = locationOf(view)
    return this.#cellOf(typeOf(view)).read(this.#region, region.lowOf(word), region.high) as V
  }

  /** Where results are made that leave the sandbox: memory of the connection. */
  get reply(): ReplyArea {
    return this.#reply
  }

  #cellOf(type: AnyType): Cell {
    if (this.#type === type) return this.#cell!
    let cell = this.#cells.get(type)
    if (cell === undefined) this.#cells.set(type, cell = cellOf(type))
    this.#type = type
    this.#cell = cell
    return cell
  }
}

interface Frame {
  readonly region: Region
  readonly inside: Inside
}

/**
 * Runs functions that can reach one range of a connection's memory and nothing else through shared pointers (paper, 5.2).
 * A pointer out of the range, a wrong type or length, or an endless walk is a WildPointerError, which a handler need not
 * catch: it is answered to the client, and the server goes on. The function itself is trusted code.
 */
export class Sandbox {
  readonly #host: SandboxHost
  readonly #cells = new Map<AnyType, Cell>()
  /** For each memory that was sandboxed: a frame for each depth of runs inside runs. */
  readonly #frames = new WeakMap<Region, Frame[]>()
  #home: Region | undefined
  #homeFrames: Frame[] = []
  #depth = 0
  /** Compiled modules that may hold regions of this memory. */
  readonly #wasm = new Set<WasmHandlers>()

  /** @internal */
  constructor(host: SandboxHost) {
    this.#host = host
  }

  /**
   * SB_BEGIN(range, variables) … SB_END. Calls `body` with what it can see and a copy of the variables, and returns what it
   * returns: plain values, or objects made by `inside.reply`.
   * @param range pages or bytes of this connection: a scope, or `call.scope`; or a view, for the memory that its pointers reach.
   * @throws WildPointerError for a range outside the connection's memory; RpcError FAILED_PRECONDITION when `body` is async.
   */
  run<V, R>(range: PageRange | object, variables: V, body: (inside: Inside, variables: V) => R, limits?: SandboxLimits): R {
    if (limits !== undefined) requireLimits('sandbox.run', limits, { maxPointers: true })
    const copied = variables === undefined ? variables : copyIn(variables)
    const frame = this.#enter(range, limits?.maxPointers ?? POINTERS_MAX)
    this.#depth++
    try {
      const result = body(frame.inside, copied)
      if (typeof result === 'object' && result !== null) requireLeaving(result, frame.region)
      return result
    } catch (error) {
      throw stackOverflow(error) ?? error
    } finally {
      this.#depth--
      // Views that are kept follow no pointer any more.
      frame.region.words = 0
    }
  }

  /**
   * Runs a function of a compiled module over a range, confined to a copy or mapping of it: `name(address of the argument,
   * number to subtract from native pointers, …values)`.
   * @param argument the object that is passed: a view, or its native address.
   * @throws WildPointerError for a pointer out of the sandbox; RpcError RESOURCE_EXHAUSTED for too many steps, INTERNAL for
   * another trap, NOT_FOUND for a function that does not exist.
   */
  runWasm(handlers: WasmHandlers, range: PageRange | object, name: string, argument: object | number, ...values: readonly (number | bigint)[]):
  number | bigint | undefined {
    const target = this.#target(range)
    this.#wasm.add(handlers)
    return handlers.run(target, this.#pointer(target, argument), name, values)
  }

  /** As {@link runWasm}, for a function that answers `address << 32 | length` of bytes it has left: a copy of them. */
  runWasmBytes(handlers: WasmHandlers, range: PageRange | object, name: string, argument: object | number, ...values: readonly (number | bigint)[]):
  Uint8Array {
    const target = this.#target(range)
    this.#wasm.add(handlers)
    return handlers.runBytes(target, this.#pointer(target, argument), name, values)
  }

  /** Lets go of the memory, when it goes. */
  close(): void {
    for (const handlers of this.#wasm) handlers.forget(this.#host.memory)
    this.#wasm.clear()
  }

  #enter(range: PageRange | object, maxPointers: number): Frame {
    const scope = (range as { readonly [SCOPE_REGION]?: Region })[SCOPE_REGION]
    if (scope !== undefined) return this.#aimAt(this.#locate(scope.high, scope.low, scope.words), scope.words, scope.high, scope.low, maxPointers)
    const { home, high, low, words } = this.#target(range)
    return this.#aimAt(home, words, high, low, maxPointers)
  }

  #target(range: PageRange | object): WasmTarget {
    const owner = this.#host.memory
    const scope = (range as { readonly [SCOPE_REGION]?: Region })[SCOPE_REGION]
    if (scope === undefined && (!('address' in range) || isView(range))) {
      const { region: { origin: region } } = locationOf(range)
      return { owner, home: region, word: region.shift, words: region.words, high: region.high, low: region.low }
    }
    let high: number
    let low: number
    let words: number
    if (scope !== undefined) ({ high, low, words } = scope)
    else {
      const { address, byteLength } = range as PageRange
      high = Math.floor(address / FOUR_GIB)
      low = (address - high * FOUR_GIB) | 0
      words = byteLength < FOUR_GIB ? byteLength >>> 2 : 0
    }
    const home = this.#locate(high, low, words)
    return { owner, home, word: ((low - home.low) >>> 2) + home.shift, words, high, low }
  }

  /** Lower half of a pointer that lies in the range. */
  #pointer(target: WasmTarget, argument: object | number): number {
    let high: number
    let low: number
    if (typeof argument === 'number') {
      high = Math.floor(argument / FOUR_GIB)
      low = (argument - high * FOUR_GIB) | 0
    } else {
      const { region, word } = locationOf(argument)
      high = region.high
      low = region.lowOf(word)
    }
    if (high !== target.high || (low - target.low) >>> 2 >= target.words) throw outsideSandbox(high, low)
    return low
  }

  #locate(high: number, low: number, words: number): Region {
    const home = (low & 7) === 0 && words >= 2 ? this.#host.memory.locate(high, low, words * 4) : undefined
    if (home === undefined) throw outside(high, low, words)
    return home
  }

  #aimAt(home: Region, words: number, high: number, low: number, maxPointers: number): Frame {
    if (this.#home !== home) this.#homeFrames = this.#framesOf(home)
    const frame = this.#homeFrames[this.#depth] ?? this.#deepen(home)
    const { region } = frame
    region.aim(((low - home.low) >>> 2) + home.shift, words, high, low)
    region.allowance = maxPointers
    region.budget = maxPointers
    return frame
  }

  #framesOf(home: Region): Frame[] {
    this.#home = home
    let frames = this.#frames.get(home)
    if (frames === undefined) this.#frames.set(home, frames = [])
    return frames
  }

  /** One more frame; a run over other memory may have used the depths before it. */
  #deepen(home: Region): Frame {
    if (this.#depth >= NESTED_MAX) throw new RpcError('FAILED_PRECONDITION', `sandboxes run inside each other at most ${NESTED_MAX} deep`)
    const frames = this.#homeFrames
    while (frames.length <= this.#depth) {
      const region = Region.within(home)
      region.endless = false
      region.readOnly = home.readOnly
      region.isPrivate = home.isPrivate
      frames.push({ region, inside: new Inside(region, this.#host.reply, this.#cells) })
    }
    return frames[this.#depth]!
  }
}

function outside(high: number, low: number, words: number): WildPointerError {
  return new WildPointerError(
    `a sandbox over ${words * 4} bytes at 0x${makeAddress(high, low).toString(16)} is not inside the connection's heaps, or the scope was destroyed`)
}

function outsideSandbox(high: number, low: number): WildPointerError {
  return new WildPointerError(`a pointer to 0x${makeAddress(high, low).toString(16)} leads outside the sandbox`)
}

/** Shared memory must not be carried out, nor used after the end. */
function requireLeaving(result: object, region: Region): void {
  if ('then' in result && typeof result.then === 'function') {
    throw new RpcError('FAILED_PRECONDITION', 'the function of a sandbox must not be async: the sandbox ends when it returns')
  }
  if (isView(result) && locationOf(result).region === region) {
    throw new RpcError('FAILED_PRECONDITION', 'a view cannot leave its sandbox: return plain(view), or an object made by inside.reply.new')
  }
}

/** Deep data makes a recursive function run out of stack: that is the data's fault. */
export function stackOverflow(error: unknown): WildPointerError | undefined {
  return error instanceof RangeError && error.message.includes('call stack')
    ? new WildPointerError('the data is nested too deep for the function that walks it') : undefined
}
