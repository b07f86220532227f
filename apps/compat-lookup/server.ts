// The server: loads the package once, then answers with pointers.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { CompatData } from '@mdn/browser-compat-data/types'
import { RpcError, serve, type Server, type ServerOptions } from 'rpcool'
import { plainCatalog } from './load.js'
import { Catalog, type CatalogView } from './schema.js'
import { Compatibility } from './service.js'

/** Room for the data three times over; pages that nothing is stored in cost nothing. */
const HEAP_BYTES = 64 << 20

/** The text of the package's one file. */
export function compatJson(): string {
  return readFileSync(createRequire(import.meta.url).resolve('@mdn/browser-compat-data'), 'utf8')
}

export interface CompatServer extends AsyncDisposable {
  readonly server: Server
  readonly catalog: CatalogView
}

/** Serves the data on a channel; it is complete when this resolves. The server is the caller's to dispose. */
export async function serveCompatibility(channel: string, options: ServerOptions = {}): Promise<CompatServer> {
  let loaded: CatalogView | undefined
  const catalog = (): CatalogView => {
    if (loaded === undefined) throw new RpcError('UNAVAILABLE', 'the data is still being loaded')
    return loaded
  }
  const server = await serve(channel, Compatibility, {
    lookup: (name) => catalog().index.get(name) ?? null,
    catalog,
  }, { sharedHeapBytes: HEAP_BYTES, ...options })
  try {
    const data = JSON.parse(compatJson()) as CompatData
    loaded = server.heap.new(Catalog, plainCatalog(data))
    return { server, catalog: loaded, [Symbol.asyncDispose]: () => server.close() }
  } catch (error) {
    await server.close()
    throw error
  }
}
