// NDJSON into a store: one JSON value a line.
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { SingleBar } from 'cli-progress'
import type { StoreClient } from '../client.js'
import type { Json } from '../store/values.js'
import { CommandError, wordsOf } from './words.js'

/** Documents put at once, between which the event loop and the progress bar get their turn. */
const CHUNK = 1000

export interface ImportOptions {
  /** The field that holds a document's key; without one, keys are the file's name and the line. */
  readonly keyField?: string
  /** Goes on behind a line that cannot be imported. */
  readonly skipBroken?: boolean
  /** Shows a progress bar on stderr, where it is a terminal. */
  readonly progress?: boolean
}

/** What became of a file's lines. */
export interface Imported {
  readonly documents: number
  /** Of them, those that took the place of one with the same key. */
  readonly replaced: number
  /** Lines that were skipped, and what is wrong with the first of them. */
  readonly skipped: number
  readonly broken: readonly string[]
}

/** Lines that are told of, of those that were skipped. */
const NAMED_MAX = 10

/** A line that cannot be imported. */
export class ImportError extends Error {
  override readonly name = 'ImportError'
}

/** What follows the command's name. */
export function importArguments(text: string): { readonly file: string } & ImportOptions {
  try {
    const { values: { key, 'skip-broken': skipBroken }, positionals: [file, field, ...more] } = parseArgs({
      args: wordsOf(text), allowPositionals: true, options: { key: { type: 'string' }, 'skip-broken': { type: 'boolean', default: false } },
    })
    if (file === undefined) throw new CommandError('a file is missing')
    if (more.length > 0) throw new CommandError(`import takes one file, and a path with spaces is quoted; what is ${JSON.stringify(more[0])}?`)
    const keyField = key ?? field
    return { file, skipBroken, ...(keyField === undefined ? {} : { keyField }) }
  } catch (error) {
    throw error instanceof CommandError ? error : new CommandError(error instanceof Error ? error.message : String(error))
  }
}

/** What is told of an import, as lines. */
export function importReport({ documents, replaced, skipped, broken }: Imported): string[] {
  const lines = [`${countOf(documents)} imported${replaced === 0 ? '' : `, of which ${replaced.toLocaleString('en')} took the place of one with the same key`}`]
  if (skipped === 0) return lines
  lines.push(`${skipped.toLocaleString('en')} ${skipped === 1 ? 'line' : 'lines'} skipped:`, ...broken.map((one) => `  ${one}`))
  if (skipped > broken.length) lines.push(`  and ${(skipped - broken.length).toLocaleString('en')} more`)
  return lines
}

function countOf(documents: number): string {
  return `${documents.toLocaleString('en')} ${documents === 1 ? 'document' : 'documents'}`
}

/**
 * Imports a file. Unless told to skip them, throws ImportError that names the first line that cannot be imported; what came
 * before it is in the store then.
 */
export async function importFile(client: StoreClient, path: string, { keyField, skipBroken = false, progress = false }: ImportOptions = {}): Promise<Imported> {
  // A file that cannot be read is told of here; a stream would tell it as an event.
  const file = await open(path)
  const { size } = await file.stat()
  const input = file.createReadStream()
  const lines = createInterface({ input, crlfDelay: Infinity })
  // It passes on what goes wrong with its input as an event, and ends.
  let broken: Error | undefined
  lines.on('error', (error: Error) => {
    broken = error
    lines.close()
  })
  const bar = progress ? new SingleBar({ format: '{bar} {percentage}% | {documents} documents | {eta_formatted} left', hideCursor: true }) : undefined
  const chunk = new Chunk(client, path, skipBroken)
  let line = 0
  // Of the lines that are stored: what was read from the file is ahead of them.
  let bytes = 0
  const flush = (): void => {
    chunk.flush()
    bar?.update(Math.min(bytes, size), { documents: chunk.documents.toLocaleString('en') })
  }
  bar?.start(size, 0, { documents: '0' })
  try {
    for await (const text of lines) {
      line++
      bytes += Buffer.byteLength(text) + 1
      // Files of some editors begin with a byte order mark.
      const content = line === 1 && text.startsWith('\uFEFF') ? text.slice(1) : text
      if (content.trim() === '') continue
      chunk.add(line, content, keyField)
      if (chunk.isFull) flush()
    }
    if (broken === undefined) bytes = size
    flush()
    if (broken !== undefined) throw new ImportError(`${path}: ${broken.message}`)
    return chunk
  } catch (error) {
    if (!(error instanceof ImportError)) throw error
    throw new ImportError(`${error.message} (${countOf(chunk.documents)} before it ${chunk.documents === 1 ? 'is' : 'are'} stored${skipBroken ? '' : '; --skip-broken goes on behind such lines'})`)
  } finally {
    bar?.stop()
    input.destroy()
  }
}

/** Lines on their way into the store, and what became of those before. */
class Chunk implements Imported {
  documents = 0
  replaced = 0
  skipped = 0
  readonly broken: string[] = []
  #lines: { readonly line: number, readonly read: readonly [string, Json] | ImportError }[] = []

  constructor(private readonly client: StoreClient, private readonly path: string, private readonly skipBroken: boolean) {}

  get isFull(): boolean {
    return this.#lines.length >= CHUNK
  }

  add(line: number, text: string, keyField: string | undefined): void {
    this.#lines.push({ line, read: entryOf(text, line, this.path, keyField) })
  }

  /** @throws ImportError at the first line that cannot be imported, unless those are skipped. */
  flush(): void {
    const lines = this.#lines
    this.#lines = []
    const before = this.skipped
    const refuse = (error: ImportError): void => this.#refuse(error)
    let at = 0
    const entries = function* (): Iterable<readonly [string, Json]> {
      for (; at < lines.length; at++) {
        const { read } = lines[at]!
        if (read instanceof ImportError) refuse(read)
        else yield read
      }
    }
    try {
      // What JSON.parse takes may still be nested too deep.
      this.replaced += this.client.sync.putAll(entries(), (error) => refuse(new ImportError(`${this.path}:${lines[at]!.line}: ${error.sentence}`)))
    } finally {
      this.documents += at - (this.skipped - before)
    }
  }

  #refuse(error: ImportError): void {
    if (!this.skipBroken) throw error
    this.skipped++
    if (this.broken.length < NAMED_MAX) this.broken.push(error.message)
  }
}

/** A line's key and document, or what is wrong with it. */
function entryOf(text: string, line: number, path: string, keyField: string | undefined): readonly [string, Json] | ImportError {
  let body: Json
  try {
    body = JSON.parse(text) as Json
  } catch (error) {
    return new ImportError(`${path}:${line}: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (keyField === undefined) return [`${path}:${line}`, body]
  const key = typeof body === 'object' && body !== null && !Array.isArray(body) && Object.hasOwn(body, keyField) ? body[keyField] : undefined
  if (typeof key !== 'string' && typeof key !== 'number') return new ImportError(`${path}:${line}: there is no text or number "${keyField}" to be the key`)
  return [String(key), body]
}
