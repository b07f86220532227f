// Messages of JSON, changed as somebody would who knows them.
import type { Random } from '../../support/random.js'

/** Values that the fields of messages are tried with. */
function anyValue(random: Random): unknown {
  return random.one<unknown>([
    random.nasty(), random.below(10), 4096 * random.below(8), 2 ** 53, -0.5, null, true, '', 'a/b', 'x'.repeat(random.below(300)), '\ud800', [], {}, [[[]]], 'client', { heap: 1, member: 1 },
  ])
}

/** The message with some fields changed, added or missing, some bytes other ones, or cut short. */
export function mutatedMessage(random: Random, message: object): Uint8Array {
  const fields: Record<string, unknown> = { ...message, ...(random.chance(3) ? {} : { id: 1 + random.below(1000) }) }
  const keys = Object.keys(fields)
  for (let i = random.below(3); i > 0; i--) fields[random.one(keys)] = anyValue(random)
  if (random.chance(10)) fields[random.one(['extra', '__proto__', 'constructor', 'toString'])] = anyValue(random)
  if (random.chance(10)) Reflect.deleteProperty(fields, random.one(keys))
  const bytes = Buffer.from(JSON.stringify(fields))
  if (random.chance(5)) for (let i = 1 + random.below(4); i > 0; i--) bytes[random.below(bytes.length)] = random.word()
  return random.chance(10) ? bytes.subarray(0, random.below(bytes.length)) : bytes
}
