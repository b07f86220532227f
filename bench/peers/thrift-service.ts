import thrift from 'thrift'
import { toJson } from './frame-calls.js'
import type { Handler } from './peer.js'

/**
 * What the Thrift compiler would write for
 *
 *   service Bench { void noop(), string lookup(1: string key) }
 *
 * by hand, over the classes of the runtime. lookup answers JSON text: a schema for any data set is not Thrift's business.
 */
const { Thrift } = thrift
const { CALL, EXCEPTION, REPLY } = Thrift.MessageType
const { STOP, STRING } = Thrift.Type

const KEY_FIELD = 1
const SUCCESS_FIELD = 0

type Protocol = thrift.TProtocol
type Callback = (error: Error | null, value: string) => void

/** A struct with one text field, or with none: the arguments and results of both methods. */
function writeStruct(output: Protocol, name: string, field: number, value: string | undefined): void {
  output.writeStructBegin(name)
  if (value !== undefined) {
    output.writeFieldBegin('value', STRING, field)
    output.writeString(value)
    output.writeFieldEnd()
  }
  output.writeFieldStop()
  output.writeStructEnd()
}

function readStruct(input: Protocol, wanted: number): string {
  let value = ''
  input.readStructBegin()
  for (;;) {
    const { ftype, fid } = input.readFieldBegin()
    if (ftype === STOP) break
    if (fid === wanted && ftype === STRING) value = input.readString()
    else input.skip(ftype)
    input.readFieldEnd()
  }
  input.readStructEnd()
  return value
}

/** The runtime calls `recv_METHOD` when an answer comes and finds the call's callback in `_reqs`. */
export class BenchClient {
  readonly _reqs: Record<number, Callback | undefined> = {}
  readonly #output: thrift.TTransport
  readonly #protocol: Protocol
  #sequence = 0

  constructor(output: thrift.TTransport, protocol: new (transport: thrift.TTransport) => Protocol) {
    this.#output = output
    this.#protocol = new protocol(output)
  }

  noop(): Promise<string> {
    return this.#call('noop', undefined)
  }

  lookup(key: string): Promise<string> {
    return this.#call('lookup', key)
  }

  recv_noop(input: Protocol, type: thrift.Thrift.MessageType, sequence: number): void {
    this.#receive(input, type, sequence)
  }

  recv_lookup(input: Protocol, type: thrift.Thrift.MessageType, sequence: number): void {
    this.#receive(input, type, sequence)
  }

  /** Every call in flight fails with `error`: the runtime leaves them waiting when its connection ends. */
  end(error: Error): void {
    for (const [sequence, callback] of Object.entries(this._reqs)) {
      this._reqs[Number(sequence)] = undefined
      callback?.(error, '')
    }
  }

  #call(method: string, key: string | undefined): Promise<string> {
    return new Promise((resolve, reject) => {
      const sequence = ++this.#sequence
      this._reqs[sequence] = (error, value) => {
        if (error === null) resolve(value)
        else reject(error)
      }
      this.#protocol.writeMessageBegin(method, CALL, sequence)
      writeStruct(this.#protocol, `${method}_args`, KEY_FIELD, key)
      this.#protocol.writeMessageEnd()
      this.#output.setCurrSeqId(sequence)
      this.#output.flush()
    })
  }

  #receive(input: Protocol, type: thrift.Thrift.MessageType, sequence: number): void {
    const callback = this._reqs[sequence]
    this._reqs[sequence] = undefined
    if (type === EXCEPTION) {
      const error = new Thrift.TApplicationException()
      error.read(input)
      input.readMessageEnd()
      callback?.(error, '')
      return
    }
    const value = readStruct(input, SUCCESS_FIELD)
    input.readMessageEnd()
    callback?.(null, value)
  }
}

/** The runtime calls `process` once per message that came whole. */
export class BenchProcessor {
  readonly #handler: Handler

  constructor(handler: Handler) {
    this.#handler = handler
  }

  process(input: Protocol, output: Protocol): void {
    const { fname, rseqid } = input.readMessageBegin()
    const key = readStruct(input, KEY_FIELD)
    input.readMessageEnd()
    try {
      const value = this.#answer(fname, key)
      output.writeMessageBegin(fname, REPLY, rseqid)
      writeStruct(output, `${fname}_result`, SUCCESS_FIELD, value)
    } catch (error) {
      output.writeMessageBegin(fname, EXCEPTION, rseqid)
      new Thrift.TApplicationException(Thrift.TApplicationExceptionType.INTERNAL_ERROR, String(error)).write(output)
    }
    output.writeMessageEnd()
    output.flush()
  }

  #answer(method: string, key: string): string | undefined {
    if (method === 'noop') return undefined
    if (method === 'lookup') return toJson(this.#handler(key))
    throw new Error(`the service has no method ${method}`)
  }
}
