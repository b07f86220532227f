// What a hostile peer does to memory: words changed at random, before it is looked at or between any two looks.
import { inspect } from 'node:util'
import { RpcError } from '../../src/base/errors.js'
import type { Region } from '../../src/memory/region.js'

// Deterministic, so that a failure can be repeated by its seed.
export function randomSource(seed: number): (below: number) => number {
  let state = seed * 2654435761 >>> 0 | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** @param among the words to choose from; any up to `used` unless told otherwise. */
export function spoil({ i32, u8: octets }: Region, used: number, random: (below: number) => number, among?: readonly number[]): void {
  const changes = 1 + random(12)
  for (let i = 0; i < changes; i++) {
    const at = among === undefined ? 2 + random(used - 2) : among[random(among.length)]!
    const other = i32[2 + random(used - 2)]!
    switch (random(6)) {
      case 0: octets[at * 4 + random(4)] = random(256); break
      case 1: i32[at] = random(2) === 0 ? 0x7fff_ffff : -1; break
      case 2: i32[at] = other; break
      case 3: i32[at] = random(64); break
      case 4: i32[at] = i32[at]! ^ 1 << random(32); break
      default: i32[at] = random(0x1_0000_0000) | 0
    }
  }
}

export function onlyRpcErrors(seed: number, what: string, work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!RpcError.is(error)) throw new Error(`seed ${seed}, ${what}: ${inspect(error)}`, { cause: error })
  }
}

export function lastUsed({ i32 }: Region): number {
  let last = i32.length
  while (i32[last - 1] === 0) last--
  return last
}

/** A region whose words are looked at through a proxy, which tells of each look before it: to change something, or to note where it goes. */
export function changing(region: Region, before: (word: number) => void): Region {
  const restless = Object.create(region) as { -readonly [K in keyof Region]: Region[K] }
  restless.i32 = new Proxy(region.i32, {
    get(target, key): unknown {
      if (typeof key === 'string') before(Number(key))
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value as (...parameters: unknown[]) => unknown).bind(target) : value
    },
  })
  return restless
}
