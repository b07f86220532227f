import { jsonMemory } from '../objects/json-memory.js'
import { jsonRead } from '../objects/json-read.js'
import { jsonWrite } from '../objects/json-write.js'
import { copyFrom } from '../objects/copy.js'
import { mapGet } from '../objects/map-get.js'
import type { Section } from '../objects/section.js'
import { twoCpus } from '../support/cpus.js'
import type { Trial } from './trial.js'

/** One file a measurement. */
const SECTIONS: readonly Section[] = [jsonRead, jsonWrite, jsonMemory, mapGet, copyFrom]

export const objects: Trial = {
  name: 'objects',
  about: 'json and containers in shared memory, beside plain objects, JSON and Map',
  async run({ quick, output }) {
    const context = { quick, output, cpus: twoCpus() }
    const results: object[] = []
    for (const section of SECTIONS) results.push(await section.run(context))
    return Object.assign({ trial: 'objects', quick }, ...results) as object
  },
}
