// What is used of the global WebAssembly: TypeScript has its types among those of browsers only.

export interface WasmMemory {
  readonly buffer: ArrayBuffer
}

declare const opaque: unique symbol
/** A compiled module. */
export interface WasmModule { readonly [opaque]: 'module' }

export interface WasmImport {
  readonly module: string
  readonly name: string
  readonly kind: string
}

/** An exported function; 64-bit integers are bigints. */
export type WasmFunction = (...values: readonly (number | bigint)[]) => number | bigint | undefined

export interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>
}

interface WasmApi {
  readonly Module: {
    new (bytes: Uint8Array): WasmModule
    exports(module: WasmModule): readonly { readonly name: string, readonly kind: string }[]
    imports(module: WasmModule): readonly WasmImport[]
  }
  readonly Instance: new (module: WasmModule, imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>) => WasmInstance
  readonly Memory: new (size: { readonly initial: number, readonly maximum: number }) => WasmMemory
  readonly RuntimeError: new (message: string) => Error
  readonly CompileError: new (message: string) => Error
}

export const wasm = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly

/** Bytes of a page of a WebAssembly memory. */
export const WASM_PAGE_BYTES = 65_536
