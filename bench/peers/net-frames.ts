import { connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { type Codec, FrameCaller, type PayloadHandler, answerFrame } from './frame-calls.js'
import { FrameReader } from './frame.js'
import type { Listener } from './peer.js'

/** Bytes that one read may bring; a no-op needs 64, a large look-up's answer many reads. */
const READ_BUFFER_BYTES = 64 * 1024

/** The calling end of a socket that speaks frames. */
export interface FrameClient<Question> extends AsyncDisposable {
  noop(): Promise<void>
  lookup(question: Question): Promise<unknown>
}

/** Serves frames on `where`; `addressOf` names the listening server to its clients. */
export async function listenForFrames(
  where: { readonly path: string } | { readonly host: string; readonly port: number },
  addressOf: (server: Server) => string,
  answer: PayloadHandler,
): Promise<Listener> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    const reader = new FrameReader((frame) => socket.write(answerFrame(frame, answer)))
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk)
    })
    socket.on('error', () => undefined); // a client that died: 'close' follows
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(where)
  await once(server, 'listening')
  return {
    address: addressOf(server),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Connects with a read buffer of its own (`onread`), which spares an allocation per read. */
export async function connectFrames<Question>(where: NetConnectOpts, codec: Codec<Question>): Promise<FrameClient<Question>> {
  const caller = new FrameCaller((frame) => socket.write(frame), codec)
  const reader = new FrameReader((frame) => {
    caller.onAnswer(frame)
  })
  const socket = connect({
    ...where,
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
      callback(bytes: number, buffer: Uint8Array) {
        reader.push(Buffer.from(buffer.buffer, buffer.byteOffset, bytes))
        return true
      },
    },
  })
  await once(socket, 'connect')
  socket.on('error', () => undefined); // 'close' follows
  socket.on('close', () => {
    caller.end(new Error('the socket was closed'))
  })
  return {
    noop: () => caller.noop(),
    lookup: (question) => caller.lookup(question),
    async [Symbol.asyncDispose]() {
      if (socket.closed) return
      socket.destroy()
      await once(socket, 'close')
    },
  }
}
