import type binaryenModule from 'binaryen'
import { RpcError } from '../../../base/errors.js'
import { wasm, WASM_PAGE_BYTES, type WasmImport, type WasmModule } from '../../../sys/index.js'

/**
 * What {@link prepareWasm} adds to a module. A prepared module can be stored and loaded later, where there is no binaryen.
 *
 * Each exported function f becomes `f(steps, …)`: it sets the counter, restores the globals and empties the temporary heap,
 * then calls the original.
 */
export const PREPARED = {
  /** i32 → nothing: takes the pages of private memory there are, and notes what the globals hold after the module's start. */
  begin: 'rpcool_begin',
  /** → i32: what is left of the steps; negative when they ran out. */
  stepsLeft: 'rpcool_steps_left',
  /** → i32: pages of memory that the module's own data need. */
  ownPages: 'rpcool_own_pages',
} as const

/** Steps that a module's start may take. */
const START_STEPS = 10_000_000
/** Functions up to this size are put in line: the one that counts is. */
const INLINE_SIZE = 40
/** Bytes that are filled or copied in one instruction for a step: about as long as a turn of a loop takes. */
const BYTES_A_STEP_SHIFT = 4
/** Functions that all tables of a module have room for: a hundred times what large programs call by pointer. */
const TABLE_ENTRIES_MAX = 1 << 18
/** Bytes before each block of the temporary heap: its length, and alignment. */
const BLOCK_HEADER = 16

type Binaryen = typeof binaryenModule
type Module = InstanceType<Binaryen['Module']>

/**
 * Makes a compiled module (AssemblyScript, Rust, C) fit to be run in a sandbox: loops, calls, and copies of memory count their steps, so that
 * none is endless; `malloc`, `calloc`, `realloc` and `free`, where the module imports them, become a temporary heap that is
 * empty at each call; `memory.size` and `memory.grow` see the private memory only.
 *
 * The module must import its memory, have no other, and import nothing else but these four and `abort`; it may not make or change tables while it
 * runs, nor objects of the engine's (GC). Needs the npm package binaryen.
 * @returns the prepared module.
 * @throws RpcError FAILED_PRECONDITION without binaryen; INVALID_ARGUMENT for a module that does not keep to the above.
 */
export async function prepareWasm(bytes: Uint8Array): Promise<Uint8Array> {
  const compiled = compileWasm(bytes)
  if (isPrepared(compiled)) return bytes
  requireImports(wasm.Module.imports(compiled))
  const binaryen = await loadBinaryen()
  const module = binaryen.readBinary(bytes)
  try {
    return new Preparation(binaryen, module).run()
  } finally {
    module.dispose()
  }
}

/** @throws RpcError INVALID_ARGUMENT when the bytes are no WebAssembly module. */
export function compileWasm(bytes: Uint8Array): WasmModule {
  try {
    return new wasm.Module(bytes)
  } catch (cause) {
    throw new RpcError('INVALID_ARGUMENT', `this is not a WebAssembly module: ${String(cause)}`, { cause })
  }
}

export function isPrepared(module: WasmModule): boolean {
  return wasm.Module.exports(module).some(({ name }) => name === PREPARED.begin)
}

const SUPPLIED = new Set(['malloc', 'calloc', 'realloc', 'free', 'abort'])

function requireImports(imports: readonly WasmImport[]): void {
  if (imports.filter(({ kind }) => kind === 'memory').length !== 1) {
    throw new RpcError('INVALID_ARGUMENT',
      'a sandboxed module imports its memory: compile with --importMemory (AssemblyScript) or -Wl,--import-memory (clang)')
  }
  for (const { module, name, kind } of imports) {
    if (kind === 'memory' || (kind === 'function' && SUPPLIED.has(name))) continue
    throw new RpcError('INVALID_ARGUMENT', `the module imports the ${kind} ${module}.${name}, which does not exist in a sandbox`)
  }
}

async function loadBinaryen(): Promise<Binaryen> {
  try {
    return (await import('binaryen')).default
  } catch (cause) {
    throw new RpcError('FAILED_PRECONDITION',
      'preparing a WebAssembly module needs the package binaryen: npm install binaryen, or prepare it where there is one (prepareWasm)', { cause })
  }
}

class Preparation {
  readonly #ownPages: number

  constructor(readonly binaryen: Binaryen, readonly module: Module) {
    this.#ownPages = module.getMemoryInfo().initial
  }

  run(): Uint8Array {
    const { module } = this
    limitFeatures(this.binaryen, module)
    if (module.validate() === 0) throw new RpcError('INVALID_ARGUMENT', 'the module uses features of WebAssembly that a sandbox does not have: it has one memory, and no garbage collection')
    // The pass calls an import at each loop, function and return; what it calls becomes a function of ours.
    module.runPasses(['log-execution'])
    this.#countSteps()
    this.#supplyImports()
    const restored = this.#restoreGlobals()
    this.#wrapExports(restored)
    this.#addPages()
    return this.#confineMemory()
  }

  #countSteps(): void {
    const { binaryen: { i32, none }, module } = this
    module.removeFunction('log_execution')
    module.addGlobal('rpcool_steps', i32, true, module.i32.const(START_STEPS))
    const steps = (): number => module.global.get('rpcool_steps', i32)
    module.addFunction('log_execution', i32, none, [], module.block(null, [
      module.global.set('rpcool_steps', module.i32.sub(steps(), module.i32.const(1))),
      module.if(module.i32.lt_s(steps(), module.i32.const(0)), module.unreachable()),
    ]))
    // Of an instruction that works on so many bytes: its sign is none, and the counter, which is no less than 0 here, does not pass its end.
    module.addFunction('rpcool_count', i32, none, [], module.block(null, [
      module.global.set('rpcool_steps', module.i32.sub(steps(), module.i32.shr_u(module.local.get(0, i32), module.i32.const(BYTES_A_STEP_SHIFT)))),
      module.if(module.i32.lt_s(steps(), module.i32.const(0)), module.unreachable()),
    ]))
    module.addFunction('rpcool_steps_left', none, i32, [], steps())
    module.addFunctionExport('rpcool_steps_left', PREPARED.stepsLeft)
  }

  /** Globals of the module, saved after its start and set again at each call: allocators that keep their state there start anew. */
  #restoreGlobals(): number[] {
    const { binaryen, module } = this
    const saved: number[] = []
    const restored: number[] = []
    for (let i = module.getNumGlobals() - 1; i >= 0; i--) {
      const { name, type, mutable, base } = binaryen.getGlobalInfo(module.getGlobalByIndex(i))
      if (!mutable || (base !== '' && base !== null) || name.startsWith('rpcool_')) continue
      const zero = this.#zero(type)
      if (zero === undefined) continue
      module.addGlobal(`rpcool_saved_${i}`, type, true, zero)
      saved.push(module.global.set(`rpcool_saved_${i}`, module.global.get(name, type)))
      restored.push(i)
    }
    const pages = module.global.set('rpcool_pages', module.local.get(0, binaryen.i32))
    module.addFunction('rpcool_begin', binaryen.i32, binaryen.none, [], module.block(null, [pages, ...saved]))
    module.addFunctionExport('rpcool_begin', PREPARED.begin)
    return restored
  }

  #zero(type: number): number | undefined {
    const { binaryen, module } = this
    if (type === binaryen.i32) return module.i32.const(0)
    if (type === binaryen.i64) return module.i64.const(0n)
    if (type === binaryen.f32) return module.f32.const(0)
    return type === binaryen.f64 ? module.f64.const(0) : undefined
  }

  #wrapExports(restored: readonly number[]): void {
    const { binaryen, module } = this
    const { i32 } = binaryen
    const exported: { readonly name: string, readonly value: string }[] = []
    for (let i = 0; i < module.getNumExports(); i++) {
      const { name, value, kind } = binaryen.getExportInfo(module.getExportByIndex(i))
      if (kind === binaryen.ExternalFunction && !name.startsWith('rpcool_')) exported.push({ name, value })
    }
    const globals = restored.map((i) => ({ saved: `rpcool_saved_${i}`, ...binaryen.getGlobalInfo(module.getGlobalByIndex(i)) }))
    for (const { name, value } of exported) {
      const { params, results } = binaryen.getFunctionInfo(module.getFunction(value))
      const types = params === binaryen.none ? [] : binaryen.expandType(params)
      const entry = [
        module.global.set('rpcool_steps', module.local.get(0, i32)),
        module.global.set('rpcool_top', module.i32.const(this.#ownPages * WASM_PAGE_BYTES)),
        ...globals.map((global) => module.global.set(global.name, module.global.get(global.saved, global.type))),
        module.call(value, types.map((type, at) => module.local.get(at + 1, type)), results),
      ]
      module.removeExport(name)
      module.addFunction(`rpcool_enter_${name}`, binaryen.createType([i32, ...types]), results, [], module.block(null, entry, results))
      module.addFunctionExport(`rpcool_enter_${name}`, name)
    }
  }

  #supplyImports(): void {
    const { binaryen, module } = this
    const { i32 } = binaryen
    module.addGlobal('rpcool_top', i32, true, module.i32.const(this.#ownPages * WASM_PAGE_BYTES))
    module.addGlobal('rpcool_pages', i32, true, module.i32.const(this.#ownPages))
    this.#addMalloc()
    const imported: { readonly name: string, readonly base: string, readonly params: number, readonly results: number }[] = []
    for (let i = 0; i < module.getNumFunctions(); i++) {
      const info = binaryen.getFunctionInfo(module.getFunctionByIndex(i))
      if (info.base !== null && info.base !== '') imported.push({ ...info, base: info.base })
    }
    for (const { name, base, params, results } of imported) {
      const body = this.#bodyOf(base)
      const shape = SHAPES[base]
      if (shape !== undefined && (binaryen.expandType(params).join() !== Array.from({ length: shape }, () => i32).join())) {
        throw new RpcError('INVALID_ARGUMENT', `the module imports ${base} with other parameters than C gives it`)
      }
      module.removeFunction(name)
      module.addFunction(name, params, results, [], body)
    }
  }

  #bodyOf(base: string): number {
    const { binaryen: { i32 }, module } = this
    const argument = (index: number): number => module.local.get(index, i32)
    if (base === 'malloc') return module.call('rpcool_malloc', [argument(0)], i32)
    if (base === 'calloc') return module.call('rpcool_calloc', [argument(0), argument(1)], i32)
    if (base === 'realloc') return module.call('rpcool_realloc', [argument(0), argument(1)], i32)
    return base === 'free' ? module.nop() : module.unreachable()
  }

  /** The temporary heap: blocks are laid one after the other behind the module's own data, and go with the call. */
  #addMalloc(): void {
    const { binaryen, module: m } = this
    const { i32, i64 } = binaryen
    const get = (index: number): number => m.local.get(index, i32)
    const top = (): number => m.global.get('rpcool_top', i32)
    const end = m.i32.shl(m.global.get('rpcool_pages', i32), m.i32.const(16))
    m.addFunction('rpcool_malloc', i32, i32, [i32], m.block(null, [
      m.if(m.i64.gt_u(
        m.i64.add(m.i64.extend_u(top()), m.i64.add(m.i64.extend_u(get(0)), m.i64.const(BigInt(BLOCK_HEADER * 2)))),
        m.i64.extend_u(end)), m.return(m.i32.const(0))),
      m.local.set(1, m.i32.add(m.i32.and(m.i32.add(top(), m.i32.const(15)), m.i32.const(-16)), m.i32.const(BLOCK_HEADER))),
      m.i32.store(0, 4, m.i32.sub(get(1), m.i32.const(BLOCK_HEADER)), get(0)),
      m.global.set('rpcool_top', m.i32.add(get(1), get(0))),
      get(1),
    ], i32))
    // calloc(count, bytes): the product must not overflow.
    m.addFunction('rpcool_calloc', binaryen.createType([i32, i32]), i32, [i64, i32], m.block(null, [
      m.local.set(2, m.i64.mul(m.i64.extend_u(get(0)), m.i64.extend_u(get(1)))),
      m.if(m.i64.gt_u(m.local.get(2, i64), m.i64.const(0xffff_ffffn)), m.return(m.i32.const(0))),
      m.local.set(3, m.call('rpcool_malloc', [m.i32.wrap(m.local.get(2, i64))], i32)),
      m.if(m.i32.eqz(get(3)), m.return(m.i32.const(0))),
      m.memory.fill(get(3), m.i32.const(0), m.i32.wrap(m.local.get(2, i64))),
      get(3),
    ], i32))
    const size = (): number => m.i32.load(0, 4, m.i32.sub(get(0), m.i32.const(BLOCK_HEADER)))
    m.addFunction('rpcool_realloc', binaryen.createType([i32, i32]), i32, [i32], m.block(null, [
      m.local.set(2, m.call('rpcool_malloc', [get(1)], i32)),
      m.if(m.i32.and(m.i32.ne(get(0), m.i32.const(0)), m.i32.ne(get(2), m.i32.const(0))),
        m.memory.copy(get(2), get(0), m.select(size(), get(1), m.i32.lt_u(size(), get(1))))),
      get(2),
    ], i32))
  }

  #addPages(): void {
    const { binaryen: { i32, none }, module } = this
    module.addFunction('rpcool_own_pages', none, i32, [], module.i32.const(this.#ownPages))
    module.addFunctionExport('rpcool_own_pages', PREPARED.ownPages)
    // What the module has grown to: a memory of fixed size holds it, and the sandboxed region above it.
    module.addGlobal('rpcool_grown', i32, true, module.i32.const(this.#ownPages))
    const grown = (): number => module.global.get('rpcool_grown', i32)
    const wanted = (): number => module.i32.add(grown(), module.local.get(0, i32))
    module.addFunction('rpcool_grow', i32, i32, [i32], module.block(null, [
      module.if(module.i32.or(module.i32.gt_u(wanted(), module.global.get('rpcool_pages', i32)), module.i32.lt_u(wanted(), grown())),
        module.return(module.i32.const(-1))),
      module.local.set(1, grown()),
      module.global.set('rpcool_grown', wanted()),
      module.local.get(1, i32),
    ], i32))
    module.addFunction('rpcool_size', none, i32, [], grown())
  }

  /** binaryen has no way to walk over all instructions; its text form names each of them. */
  #confineMemory(): Uint8Array {
    const { binaryen, module } = this
    const lines = module.emitText().trimEnd().split('\n')
    requireSmallTables(lines)
    const counted = new Map<string, string>()
    const confinedLines = lines.map((line) => DATA.test(line) ? line : line.replaceAll(CONFINED, (found) => {
      if (found.startsWith('"')) return found
      if (found.startsWith('(memory.size')) return '(call $rpcool_size'
      return found.startsWith('(memory.grow') ? '(call $rpcool_grow' : `(call ${countedName(counted, found)}`
    }))
    const functions = [...counted].map(([instruction, name]) =>
      ` (func ${name} (param i32 i32 i32) (call $rpcool_count (local.get 2)) ${instruction} (local.get 0) (local.get 1) (local.get 2)))`)
    // Before the end of the module.
    confinedLines.splice(-1, 0, ...functions)
    const confined = binaryen.parseText(confinedLines.join('\n'))
    try {
      limitFeatures(binaryen, confined)
      const before = binaryen.getAlwaysInlineMaxSize()
      binaryen.setAlwaysInlineMaxSize(INLINE_SIZE)
      confined.runPasses(['inlining'])
      binaryen.setAlwaysInlineMaxSize(before)
      if (confined.validate() === 0) throw new RpcError('INTERNAL', 'binaryen finds the prepared module invalid')
      return confined.emitBinary()
    } finally {
      confined.dispose()
    }
  }
}

/** A line of text that holds a module's data. */
const DATA = /^\s*\(data /
/** A text between quotes: a module's names may hold anything, such as spaces, or what looks like an instruction. */
const QUOTED = '"(?:[^"\\\\]|\\\\.)*"'
const NAME = `\\$(?:${QUOTED}|[^\\s()"]+)`
/**
 * Instructions, up to their arguments, that see or change how much memory there is, or that work on as many bytes as their third argument says; and
 * texts, to be left as they are.
 */
const CONFINED = new RegExp(`${QUOTED}|\\(memory\\.(?:size|grow|fill|copy|init)(?: ${NAME})*(?=[\\s)]|$)`, 'g')
const TABLE = new RegExp(`^\\s*\\(table ${NAME} (\\d+)`)
const TABLE_CHANGE = /\(table\.(?:grow|fill|copy|init)\b/
const ALL_QUOTED = new RegExp(QUOTED, 'g')

/** The function that stands for the instruction. */
function countedName(counted: Map<string, string>, instruction: string): string {
  let name = counted.get(instruction)
  if (name === undefined) counted.set(instruction, name = `$rpcool_counted_${counted.size}`)
  return name
}

/** Tables are for calls by pointer: one that grows, or is filled again and again, takes memory and time that nobody counts. */
function requireSmallTables(lines: readonly string[]): void {
  let entries = 0
  for (const line of lines) {
    if (DATA.test(line)) continue
    entries += Number(TABLE.exec(line)?.[1] ?? 0)
    if (TABLE_CHANGE.test(line) && TABLE_CHANGE.test(line.replaceAll(ALL_QUOTED, ''))) throw new RpcError('INVALID_ARGUMENT', 'the module changes a table while it runs, which a sandbox does not have: table.grow, table.fill, table.copy, table.init')
  }
  if (entries > TABLE_ENTRIES_MAX) throw new RpcError('INVALID_ARGUMENT', `the module's tables have ${entries} entries, more than ${TABLE_ENTRIES_MAX}`)
}

/** What is missing takes memory that is in nobody's books: further memories, objects and strings of the engine's, stacks. */
function limitFeatures({ Features }: Binaryen, module: { setFeatures(features: number): void }): void {
  module.setFeatures(
    Features.Atomics | Features.MutableGlobals | Features.NontrappingFPToInt | Features.SIMD128 | Features.BulkMemory | Features.SignExt | Features.ExceptionHandling |
    Features.TailCall | Features.ReferenceTypes | Features.Multivalue | Features.RelaxedSIMD | Features.ExtendedConst | Features.BulkMemoryOpt | Features.CallIndirectOverlong)
}

/** Parameters of the imports that are supplied, all of 32 bits. */
const SHAPES: Readonly<Record<string, number>> = { malloc: 1, calloc: 2, realloc: 2, free: 1 }
