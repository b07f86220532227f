import { connect, serve } from 'rpcool'
import { startChild } from '../support/child.js'
import { nowNs } from '../support/clock.js'
import type { CpuPair } from '../support/cpus.js'
import { program } from '../support/program.js'
import { median } from '../support/statistics.js'
import { callServer, TYPED_CHANNEL } from './call-server.js'
import { CallService } from './call-service.js'

export interface ConnectFigures {
  readonly channel_create_us: number
  readonly channel_destroy_us: number
  readonly connect_us: number
  readonly disconnect_us: number
}

/** Runs on the calling side's CPU, with a daemon that runs: what it costs to make a channel, and to connect to one. */
export const measureConnect = program<{ readonly cpus: CpuPair; readonly directory: string; readonly times: number }, void, ConnectFigures>(
  import.meta.url,
  'measureConnect',
  async ({ cpus, directory, times }) => {
    await using server = startChild(callServer, { directory, beside: 'nothing' as const }, { label: 'the server to connect to', cpu: cpus.answerer })
    await server.ready()
    const create: number[] = []
    const destroy: number[] = []
    const open: number[] = []
    const close: number[] = []
    for (let i = -WARMUP; i < times; i++) {
      const start = nowNs()
      const made = await serve(`bench/made-${String(i + WARMUP)}`, CallService, { noop() {}, typed: (sample) => sample, increment: (value) => value })
      const served = nowNs()
      await made.close()
      const destroyed = nowNs()
      const connection = await connect(TYPED_CHANNEL, CallService)
      const opened = nowNs()
      await connection.close()
      const closed = nowNs()
      if (i < 0) continue
      create.push(served - start)
      destroy.push(destroyed - served)
      open.push(opened - destroyed)
      close.push(closed - opened)
    }
    return {
      channel_create_us: median(create) / 1e3,
      channel_destroy_us: median(destroy) / 1e3,
      connect_us: median(open) / 1e3,
      disconnect_us: median(close) / 1e3,
    }
  },
)
const WARMUP = 5
