import { RpcError } from '../../../base/errors.js'
import { makeAddress, PAGE_BYTES } from '../../../base/numbers.js'
import { requireOptions } from '../../../base/options.js'
import { HEAP_BYTES_DEFAULT } from '../../../layout/heap-layout.js'
import type { Region, RegionSpace } from '../../../memory/index.js'
import { errnoCode, wasm, WASM_PAGE_BYTES } from '../../../sys/index.js'
import { compileWasm, isPrepared, prepareWasm, PREPARED } from './prepare.js'
import { type RoomPlan, WasmRoom, type WasmTarget } from './room.js'

/** Regions kept mapped, each in a room of its own: as many as the paper's protection keys allow. */
const CACHED = 14
/** Rooms for regions that are not. */
const SPARE = 2
/** A region is kept mapped when it was used so often. */
const CACHED_FROM = 3
/** A kept region gives way when it was not used for so many runs. */
const STALE_RUNS = 1024
/** Regions whose uses are counted. */
const COUNTED_MAX = 256
/** Up to here copying a region is cheaper than mapping it: 16 pages. */
const COPIED_WORDS = 16 * PAGE_BYTES / 4

/**
 * An object of `heap.new` is run over the heap it lies in. A window is address space, but V8 counts it as if a collection could free it:
 * 16 rooms of 33 MiB cost a process some three collections, as 16 of 5 MiB do.
 */
const WINDOW_BYTES = HEAP_BYTES_DEFAULT
const WINDOW_BYTES_MAX = 1 << 30
const HEAP_BYTES = 1 << 20
const HEAP_BYTES_MAX = 1 << 28
const STEPS = 100_000_000
const STEPS_MAX = 0x7fff_ffff

/** How a compiled module is run. */
export interface WasmOptions {
  /** Steps (turns of loops, calls of functions) after which a run is ended; 100,000,000 by default, some 100 ms. */
  readonly steps?: number
  /** Bytes of the largest region that a run may reach, 1 GiB at most; 32 MiB by default, as much as a connection's heap has. It is address space. */
  readonly windowBytes?: number
  /** Bytes of the temporary heap; 1 MiB by default. */
  readonly heapBytes?: number
  /** Regions that are kept mapped; 14 by default. */
  readonly cached?: number
}

/**
 * A compiled module (AssemblyScript, Rust, C) whose exported functions run over one region of shared memory each (paper,
 * 5.2), confined by the processor: the region is mapped into the module's own linear memory, or copied, when it is small and
 * not used again and again.
 *
 * A function takes the argument's address in the module's memory, the number to subtract from native pointers it finds in the
 * data (their lower 32 bits), and numbers of one's own. What it writes to the region may reach shared memory, or not.
 */
export class WasmHandlers {
  readonly #plan: RoomPlan
  readonly #steps: number
  readonly #cachedMax: number
  readonly #cached: WasmRoom[] = []
  readonly #spare: WasmRoom[] = []
  #last: WasmRoom | null = null
  readonly #counts = new Map<number, number>()
  readonly #unmappable = new WeakSet<Region>()
  #runs = 0

  private constructor(plan: RoomPlan, steps: number, cachedMax: number) {
    this.#plan = plan
    this.#steps = steps
    this.#cachedMax = cachedMax
  }

  /**
   * Compiles a module, preparing it first when that was not done yet (see {@link prepareWasm}: needs binaryen).
   * @throws RpcError INVALID_ARGUMENT for a module that cannot be confined.
   */
  static async load(bytes: Uint8Array, options: WasmOptions = {}): Promise<WasmHandlers> {
    requireOptions('WasmHandlers.load', options, { steps: true, windowBytes: true, heapBytes: true, cached: true })
    const steps = within('steps', options.steps ?? STEPS, 1, STEPS_MAX)
    const windowBytes = within('windowBytes', options.windowBytes ?? WINDOW_BYTES, PAGE_BYTES, WINDOW_BYTES_MAX)
    const heapBytes = within('heapBytes', options.heapBytes ?? HEAP_BYTES, 0, HEAP_BYTES_MAX)
    const cached = within('cached', options.cached ?? CACHED, 0, 64)
    const module = compileWasm(await prepareWasm(bytes))
    if (!isPrepared(module)) throw new RpcError('INTERNAL', 'the module was prepared, and is not')
    const memory = wasm.Module.imports(module).find(({ kind }) => kind === 'memory')!
    // A first room, with the least private memory, tells how much the module needs.
    const memoryImport = { module: memory.module, name: memory.name }
    const ownPages = new WasmHandlers({ module, memoryImport, privatePages: PROBE_PAGES, windowBytes: PAGE_BYTES }, steps, 0).#ownPages()
    const privatePages = ownPages + Math.ceil(heapBytes / WASM_PAGE_BYTES)
    return new WasmHandlers({ module, memoryImport, privatePages, windowBytes: Math.ceil(windowBytes / PAGE_BYTES) * PAGE_BYTES }, steps, cached)
  }

  /** Regions that are mapped now. */
  get cachedRegions(): number {
    return this.#cached.filter(({ home }) => home !== null).length
  }

  /** @internal Runs a function over a range; `low` is the argument's address in it. */
  run(target: WasmTarget, low: number, name: string, values: readonly (number | bigint)[]): number | bigint | undefined {
    const room = this.#roomFor(target)
    return this.#call(room, low, name, values)
  }

  /** @internal The same, of a function that answers where it has left bytes: address << 32 | length. */
  runBytes(target: WasmTarget, low: number, name: string, values: readonly (number | bigint)[]): Uint8Array {
    const room = this.#roomFor(target)
    const answer = this.#call(room, low, name, values)
    if (typeof answer !== 'bigint') throw new RpcError('INTERNAL', `${name} does not answer a 64-bit integer: address << 32 | length`)
    return room.bytes(Number(BigInt.asUintN(32, answer >> 32n)), Number(BigInt.asUintN(32, answer)))
  }

  /** @internal Lets go of every region of a connection's memory. */
  forget(memory: RegionSpace): void {
    for (const room of [...this.#cached, ...this.#spare]) if (room.owner === memory) room.empty()
    this.#last = null
  }

  #call(room: WasmRoom, low: number, name: string, values: readonly (number | bigint)[]): number | bigint | undefined {
    const fn = room.fn(name)
    const at = (low - room.base) | 0
    try {
      return values.length === 0 ? fn(this.#steps, at, room.base) : fn(this.#steps, at, room.base, ...values)
    } catch (error) {
      const known = room.errorOf(error, name, this.#steps)
      room.empty()
      this.#last = null
      throw known
    }
  }

  #roomFor(target: WasmTarget): WasmRoom {
    const { home, high, low, words } = target
    const last = this.#last
    if (last !== null && last.holds(home, high, low, words)) {
      last.used = ++this.#runs
      return last
    }
    for (const room of this.#cached) {
      if (!room.holds(home, high, low, words)) continue
      room.used = ++this.#runs
      return (this.#last = room)
    }
    return this.#enter(target)
  }

  #enter(target: WasmTarget): WasmRoom {
    const { home, words, high, low } = target
    this.#runs++
    if (words * 4 > this.#plan.windowBytes) {
      throw beyondWindow(words * 4, this.#plan.windowBytes)
    }
    const mappable = ((low | words << 2) & (PAGE_BYTES - 1)) === 0 && !home.isPrivate && !home.readOnly && !this.#unmappable.has(home)
    const kept = mappable && this.#isWorthKeeping(high, low) ? this.#roomToKeep() : undefined
    const room = kept ?? this.#spareRoom(target.owner)
    if (mappable && (kept !== undefined || words > COPIED_WORDS)) {
      try {
        room.show(target, makeAddress(high, low))
        if (kept !== undefined) this.#last = room
      } catch (error) {
        if (errnoCode(error) === undefined) throw error
        // Memory that the kernel does not share twice: from now on it is copied.
        this.#unmappable.add(home)
        room.copy(target)
      }
    } else {
      room.copy(target)
    }
    room.used = this.#runs
    return room
  }

  #isWorthKeeping(high: number, low: number): boolean {
    const address = makeAddress(high, low)
    const count = (this.#counts.get(address) ?? 0) + 1
    if (this.#counts.size >= COUNTED_MAX) this.#counts.clear()
    this.#counts.set(address, count)
    return count >= CACHED_FROM
  }

  /** A room for one more kept region; none when all keep what is in use. */
  #roomToKeep(): WasmRoom | undefined {
    if (this.#cached.length < this.#cachedMax) {
      const room = new WasmRoom(this.#plan)
      this.#cached.push(room)
      return room
    }
    let oldest = this.#cached[0]
    for (const room of this.#cached) if (room.home === null || room.used < oldest!.used) oldest = room
    return oldest !== undefined && (oldest.home === null || this.#runs - oldest.used > STALE_RUNS) ? oldest : undefined
  }

  /** The room that holds the same connection's data already, or the one used least recently. */
  #spareRoom(owner: RegionSpace): WasmRoom {
    let chosen: WasmRoom | undefined
    for (const room of this.#spare) {
      if (room.owner === owner) return room
      if (chosen === undefined || room.used < chosen.used) chosen = room
    }
    if (chosen !== undefined && this.#spare.length >= SPARE) return chosen
    const room = new WasmRoom(this.#plan)
    this.#spare.push(room)
    return room
  }

  #ownPages(): number {
    const room = new WasmRoom(this.#plan)
    return Number(room.fn(PREPARED.ownPages)())
  }
}

/** Enough for any module's own data, of which only what is touched exists: 256 MiB. */
const PROBE_PAGES = 4096

/** A heap is larger than what lies in it: the argument may well fit when it lies in a scope. */
function beyondWindow(byteLength: number, windowBytes: number): RpcError {
  const load = byteLength <= WINDOW_BYTES_MAX ? `load the module with { windowBytes: ${byteLength} }, or have` : 'have'
  return new RpcError('RESOURCE_EXHAUSTED', `the run is over ${byteLength} bytes, and the module was loaded with windowBytes of ${windowBytes}: ${load} ` +
    'the client make the argument in a scope (conn.createScope), and run over call.scope')
}

function within(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new RpcError('INVALID_ARGUMENT', `${name} is a whole number from ${least} to ${most}, not ${String(value)}`)
}
