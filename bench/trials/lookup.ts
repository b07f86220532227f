import { printLookup } from '../lookup/tables.js'
import { runLookup } from '../lookup/trial.js'
import type { Trial } from './trial.js'

const CLIENTS = 4

export const lookup: Trial = {
  name: 'lookup',
  about: 'the main job: look-ups, walks and memory over real data, beside JSON, Thrift and gRPC',
  async run({ quick, output }) {
    const result = await runLookup({ clients: CLIENTS, quick, progress: () => undefined })
    printLookup(output, result)
    return { trial: 'lookup', quick, ...result }
  },
}
