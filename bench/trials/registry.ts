import { lookup } from './lookup.js'
import { call } from './call.js'
import { documents } from './documents.js'
import { memory } from './memory.js'
import { objects } from './objects.js'
import { operations } from './operations.js'
import { peers } from './peers.js'
import { sockets } from './sockets.js'
import type { Trial } from './trial.js'

/** Every trial, in the order of the list that a wrong name prints. */
export const TRIALS: readonly Trial[] = [call, lookup, objects, documents, peers, sockets, memory, operations]

export function findTrial(name: string): Trial | undefined {
  return TRIALS.find((trial) => trial.name === name)
}

/** One line per trial, for a person. */
export function listTrials(): string {
  const width = Math.max(...TRIALS.map(({ name }) => name.length))
  return TRIALS.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`).join('\n')
}
