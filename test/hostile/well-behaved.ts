// A client that calls all the time and looks at every answer.
import assert from 'node:assert/strict'
import { plain } from '../../src/index.js'
import type { EverythingConnection } from '../support/ground.js'

/** Calls until told otherwise. @returns how many rounds there were; throws at the first answer that is wrong. */
export async function callAllTheTime(conn: EverythingConnection, over: () => boolean): Promise<number> {
  const options = { timeoutMs: 60_000 }
  let round = 0
  for (; !over(); round++) {
    const point = { x: round, y: round >>> 1, label: `round ${round}` }
    assert.equal(conn.sync.add(point, options), point.x + point.y + point.label.length)
    using copy = disposable(await conn.copy(point, options))
    assert.deepEqual(plain(copy), point)
    assert.equal(await conn.text(point.label.repeat(20), options), point.label.repeat(20))
    const numbers = await Promise.all(Array.from({ length: 10 }, (_, i) => conn.number(round + i, options)))
    assert.deepEqual(numbers, Array.from({ length: 10 }, (_, i) => round + i))
    if (round % 16 === 0) {
      using points = disposable(conn.sync.points(20, options))
      assert.equal(points.items.reduce((sum, { x, y }) => sum + x + y, 0), 0)
      assert.equal(conn.sync.sumTree({ value: 1, name: 'root', children: [{ value: 2, name: 'a child', children: [{ value: 3, name: 'leaf' }] }] }, options), 6)
    }
    // A breath for the attacker, on two CPUs.
    if (round % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  return round
}

/** Results give their memory back when they are disposed of. */
function disposable<T extends object>(view: T): T & Disposable {
  return view as T & Disposable
}
