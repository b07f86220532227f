// NDJSON into a store: one JSON value a line.
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { SingleBar } from 'cli-progress'
import type { StoreClient } from '../client.js'
import type { Json } from '../store/values.js'

/** Documents put at once, between which the event loop and the progress bar get their turn. */
const CHUNK = 1000

export interface ImportOptions {
  /** The field that holds a document's key; without one, keys are the file's name and the line. */
  readonly keyField?: string
  /** Shows a progress bar on stderr, where it is a terminal. */
  readonly progress?: boolean
}

/** A line that cannot be imported. */
export class ImportError extends Error {
  override readonly name = 'ImportError'
}

/**
 * Imports a file and answers how many documents it held. Throws ImportError that names the line; what came before it is in the
 * store then.
 */
export async function importFile(client: StoreClient, path: string, { keyField, progress = false }: ImportOptions = {}): Promise<number> {
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
  const chunk: (readonly [string, Json])[] = []
  let count = 0
  let line = 0
  // Of the lines that are stored: what was read from the file is ahead of them.
  let bytes = 0
  const flush = (): void => {
    client.sync.putAll(chunk)
    count += chunk.length
    chunk.length = 0
    bar?.update(Math.min(bytes, size), { documents: count.toLocaleString('en') })
  }
  bar?.start(size, 0, { documents: '0' })
  try {
    for await (const text of lines) {
      line++
      bytes += Buffer.byteLength(text) + 1
      if (text.trim() === '') continue
      chunk.push(entryOf(text, line, path, keyField))
      if (chunk.length >= CHUNK) flush()
    }
    if (broken !== undefined) throw new ImportError(`${path}: ${broken.message}`)
    bytes = size
    flush()
    return count
  } catch (error) {
    if (!(error instanceof ImportError)) throw error
    if (chunk.length > 0) flush()
    throw new ImportError(`${error.message} (${count.toLocaleString('en')} ${count === 1 ? 'document' : 'documents'} before it ${count === 1 ? 'is' : 'are'} stored)`)
  } finally {
    bar?.stop()
    input.destroy()
  }
}

function entryOf(text: string, line: number, path: string, keyField: string | undefined): readonly [string, Json] {
  let body: Json
  try {
    body = JSON.parse(text) as Json
  } catch (error) {
    throw new ImportError(`${path}:${line}: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (keyField === undefined) return [`${path}:${line}`, body]
  const key = typeof body === 'object' && body !== null && !Array.isArray(body) && Object.hasOwn(body, keyField) ? body[keyField] : undefined
  if (typeof key !== 'string' && typeof key !== 'number') throw new ImportError(`${path}:${line}: there is no text or number "${keyField}" to be the key`)
  return [String(key), body]
}
