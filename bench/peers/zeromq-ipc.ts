import { join } from 'node:path'
import { Dealer, Router } from 'zeromq'
import { FrameCaller, answerFrame, jsonAnswers, KEY_AND_JSON } from './frame-calls.js'
import { decodeFrame } from './frame.js'
import type { ListeningPeer } from './peer.js'

/** A closed socket's pending receive rejects; that is how the loops below end. */
async function untilClosed(loop: () => Promise<void>, isClosed: () => boolean): Promise<void> {
  try {
    await loop()
  } catch (error) {
    if (!isClosed()) throw error
  }
}

/** Dealer and Router were measured beside Request and Reply: as fast, and they allow several calls in flight. */
export const zeromqIpc: ListeningPeer = {
  kind: 'listening',
  name: 'zeromq_ipc',
  about: 'zeromq Dealer and Router over ipc://, 64-byte messages, JSON look-ups',

  async listen(directory, handler) {
    const address = `ipc://${join(directory, 'zeromq.sock')}`
    const answer = jsonAnswers(handler)
    const router = new Router({ linger: 0 })
    await router.bind(address)
    const serving = untilClosed(async () => {
      for await (const [client, message] of router) {
        if (client !== undefined && message !== undefined) {
          await router.send([client, answerFrame(decodeFrame(message), answer)])
        }
      }
    }, () => router.closed)
    return {
      address,
      async [Symbol.asyncDispose]() {
        router.close()
        await serving
      },
    }
  },

  connect(address) {
    const dealer = new Dealer({ linger: 0 })
    dealer.connect(address)
    const caller = new FrameCaller((frame) => {
      dealer.send(frame).catch((error: unknown) => {
        caller.end(new Error('zeromq could not send', { cause: error }))
      })
    }, KEY_AND_JSON)
    const receiving = untilClosed(async () => {
      for await (const [message] of dealer) if (message !== undefined) caller.onAnswer(decodeFrame(message))
    }, () => dealer.closed)
    return Promise.resolve({
      noop: () => caller.noop(),
      lookup: (key: string) => caller.lookup(key),
      async [Symbol.asyncDispose]() {
        dealer.close()
        await receiving
        caller.end(new Error('the socket was closed'))
      },
    })
  },
}
