// The other process of peer.test.ts: serves documents, reads and changes those of its client.
import { serve } from '../../../src/index.js'
import { Documents, nested } from './peer-service.js'

let kept: Record<string, unknown> | undefined

const server = await serve(process.argv[2]!, Documents, {
  describe: (document) => `${Object.keys(document).join()} ${JSON.stringify(document)}`,
  change: (document) => {
    document['count'] = Number(document['count']) + 1
    document['added by the peer'] = { list: ['a text with memory', 1.5, null] }
    const list = document['list'] as unknown[]
    list.push('pushed by the peer')
    delete document['old']
  },
  make: (depth) => nested(depth),
  echo: (document) => document,
  keep: ({ document }) => {
    kept = document
  },
  read: (key) => String(kept?.[key]),
})
process.send?.('ready')
process.once('message', () => {
  void server.close().then(() => process.exit(0))
})
