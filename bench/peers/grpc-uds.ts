import { join } from 'node:path'
import {
  Client,
  Server,
  ServerCredentials,
  credentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { toJson } from './frame-calls.js'
import type { Handler, ListeningPeer } from './peer.js'

/** A look-up may answer with a whole data set; the default limit is 4 MiB. */
const UNLIMITED = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }

const NOTHING = Buffer.alloc(0)
const asItIs = (bytes: Buffer): Buffer => bytes

function unary(path: string): ServiceDefinition[string] {
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  }
}

/**
 * Messages are raw bytes: empty for the no-op, the key's UTF-8 and the answer's JSON for a look-up. That spares gRPC the
 * protobuf step of its usual users, so its figures are on the fast side.
 */
const NOOP_PATH = '/rpcool.bench.Bench/Noop'
const LOOKUP_PATH = '/rpcool.bench.Bench/Lookup'
const SERVICE: ServiceDefinition = { noop: unary(NOOP_PATH), lookup: unary(LOOKUP_PATH) }

type Call = ServerUnaryCall<Buffer, Buffer>
type Answer = sendUnaryData<Buffer>

function implementation(handler: Handler): Record<string, (call: Call, answer: Answer) => void> {
  return {
    noop: (_, answer) => {
      answer(null, NOTHING)
    },
    lookup: (call, answer) => {
      try {
        answer(null, Buffer.from(toJson(handler(call.request.toString()))))
      } catch (error) {
        answer({ code: status.INTERNAL, details: String(error) })
      }
    },
  }
}

export const grpcUds: ListeningPeer = {
  kind: 'listening',
  name: 'grpc_uds',
  about: '@grpc/grpc-js over a Unix socket, one channel, unary, raw bytes (no protobuf step)',

  async listen(directory, handler) {
    const address = `unix:${join(directory, 'grpc.sock')}`
    const server = new Server(UNLIMITED)
    server.addService(SERVICE, implementation(handler))
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(address, ServerCredentials.createInsecure(), (error) => {
        if (error === null) resolve()
        else reject(error)
      })
    })
    return {
      address,
      [Symbol.asyncDispose]() {
        server.forceShutdown()
        return Promise.resolve()
      },
    }
  },

  connect(address) {
    const client = new Client(address, credentials.createInsecure(), UNLIMITED)
    const call = (path: string, request: Buffer): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, asItIs, asItIs, request, (error, answer) => {
          if (error !== null) reject(error)
          else resolve(answer ?? NOTHING)
        })
      })
    return Promise.resolve({
      async noop() {
        await call(NOOP_PATH, NOTHING)
      },
      async lookup(key: string): Promise<unknown> {
        return JSON.parse((await call(LOOKUP_PATH, Buffer.from(key))).toString())
      },
      [Symbol.asyncDispose]() {
        client.close()
        return Promise.resolve()
      },
    })
  },
}
