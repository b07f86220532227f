// The trial as a program of its own, with more to choose than `npm run bench -- lookup`: what `npm start` runs.
import { parseArgs } from 'node:util'
import { Output } from '../support/output.js'
import { printLookup } from './tables.js'
import { runLookup } from './trial.js'

const { values } = parseArgs({
  options: { clients: { type: 'string', default: '4' }, quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
})
const { quick, json } = values
const clients = Number(values.clients)
const output = new Output(json)
const progress = (step: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`… ${step}\n`)
}
const result = await runLookup({ clients, quick, progress })
printLookup(output, result)
output.finish({ trial: 'lookup', quick, ...result })
