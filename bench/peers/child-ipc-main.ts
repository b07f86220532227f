import type { Answer, Request } from './child-ipc.js'
import { loadHandler } from './peer.js'

/** The serving end of child-ipc.ts: started by fork with the handler's module as its argument. */
const handler = await loadHandler(process.argv[2] ?? '')

function send(answer: Answer): void {
  process.send?.(answer)
}

process.on('message', (request: Request) => {
  if (typeof request === 'number') {
    send(request)
    return
  }
  const { id, key } = request
  try {
    send({ id, value: handler(key) ?? null })
  } catch (error) {
    send({ id, error: String(error) })
  }
})
process.on('disconnect', () => process.exit())
send('ready')
