// What a native parser could come to: simdjson over the same texts, if it is installed (Debian: libsimdjson-dev).
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compiledWithLibrary } from '../support/compile.js'

export interface NativeParser {
  /** One pass over all texts: to simdjson's tape. */
  readonly tape_ns: number
  /** The same, and a walk over it that copies each key, text and number once: the least that any conversion does. */
  readonly walked_ns: number
}

/** The path of its program; undefined where simdjson is not installed. */
export function nativeParser(): Promise<string | undefined> {
  return compiledWithLibrary('json_tape', 'simdjson')
}

/** Medians of some batches on one CPU. */
export async function measureNativeParser(program: string, texts: readonly string[], passes: number, batches: number, cpu: number): Promise<NativeParser> {
  const folder = mkdtempSync(join(tmpdir(), 'rpcool-tape'))
  try {
    const file = join(folder, 'texts')
    writeFileSync(file, Buffer.concat([wordOf(texts.length), ...texts.flatMap((text) => [wordOf(Buffer.byteLength(text)), Buffer.from(text)])]))
    const { stdout } = await promisify(execFile)('taskset', ['-c', String(cpu), program, file, String(passes), String(batches)])
    const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as { readonly mean_ns?: number, readonly walked_ns?: number })
    const medianOf = (key: 'mean_ns' | 'walked_ns'): number => {
      const values = lines.flatMap((line) => line[key] ?? []).sort((a, b) => a - b)
      return values[values.length >>> 1]!
    }
    return { tape_ns: medianOf('mean_ns'), walked_ns: medianOf('walked_ns') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function wordOf(value: number): Buffer {
  const word = Buffer.alloc(4)
  word.writeUInt32LE(value)
  return word
}
