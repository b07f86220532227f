// One connection of a client of the storm: a random mix of all that one can do with it, each answer checked, and objects
// that are kept and must stay what they are whoever dies.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, plain, type Result, RpcError, type View } from '../../src/index.js'
import { Everything, type Point, Tree } from '../support/everything.js'
import type { EverythingConnection } from '../support/ground.js'
import type { Random } from '../support/random.js'

const HEAP_BYTES = 8 << 20
const KEPT_MAX = 20
const HELD_MAX = 5

interface PlainTree {
  value: number
  name: string
  children: PlainTree[]
}

interface Kept {
  readonly view: View<typeof Tree>
  readonly expected: PlainTree
}

let holds = 0

export class Load {
  readonly #kept: Kept[] = []
  readonly #results: Result<typeof Point>[] = []
  /** Calls that the server answers when it is told to: in flight when it dies. */
  readonly #held = new Map<string, Promise<string>>()
  #gone = false

  private constructor(private readonly conn: EverythingConnection, private readonly random: Random) {}

  /** A daemon that was started anew learns of the channels when their servers come back to it. */
  static async connect(channel: string, random: Random, stop: { readonly asked: boolean }): Promise<Load | undefined> {
    while (!stop.asked) {
      try {
        return new Load(await connect(channel, Everything, { heapBytes: HEAP_BYTES }), random)
      } catch (error) {
        if (!RpcError.is(error) || !['NOT_FOUND', 'UNAVAILABLE'].includes(error.code)) throw error
        await sleep(5)
      }
    }
    return undefined
  }

  /** Works until asked to stop, and then has no call in flight; or until the server dies. */
  async work(stop: { readonly asked: boolean }): Promise<void> {
    const { end } = this.conn
    this.#hold()
    try {
      while (!stop.asked) await this.#step()
      await Promise.all([...this.#held.keys()].map((key) => this.conn.free(key)))
      for (const [key, answer] of this.#held) assert.equal(await answer, key)
      this.#held.clear()
      assert.deepEqual([end.outstanding, end.quarantined], [0, 0])
    } catch (error) {
      if (!RpcError.is(error) || error.code !== 'UNAVAILABLE') throw error
      this.#gone = true
    }
    this.#verify()
  }

  /** Its calls in flight were rejected and it was told; closes what is left. */
  async serverDied(): Promise<void> {
    const reason = await this.conn.closed
    assert.equal(reason?.code, 'UNAVAILABLE')
    for (const answer of this.#held.values()) assert.equal(await answer, 'UNAVAILABLE')
    await assert.rejects(this.conn.number(1), (error) => RpcError.is(error) && error.code === 'UNAVAILABLE')
    assert.throws(() => this.conn.sync.number(1), (error) => RpcError.is(error) && error.code === 'UNAVAILABLE')
    this.#verify()
    await this.conn.close()
  }

  async close(): Promise<void> {
    assert.ok(!this.#gone, 'the server lives, and a client was told that it died')
    this.#verify()
    for (const { view } of this.#kept) this.conn.heap.free(view, { deep: true })
    for (const result of this.#results) result[Symbol.dispose]()
    await this.conn.close()
    assert.equal(await this.conn.closed, undefined)
  }

  #verify(): void {
    for (const one of this.#kept) this.#verifyOne(one)
    for (const { x, y, label } of this.#results) assert.deepEqual([y, label], [x + 1, 'kept'])
  }

  #verifyOne({ view, expected }: Kept): void {
    assert.deepEqual(plain(view), expected)
  }

  async #step(): Promise<void> {
    const { conn, random } = this
    const n = random.below(1_000_000)
    if (this.#kept.length > 0 && random.chance(4)) this.#verifyOne(random.one(this.#kept))
    switch (random.below(9)) {
      case 0:
        for (let i = 0; i < 30; i++) assert.equal(conn.sync.add({ x: n, y: i, label: 'abc' }), n + i + 3)
        break
      case 1:
        await this.#pipelined(n)
        break
      case 2:
      case 3:
        this.#allocate()
        break
      case 4: {
        using points = conn.sync.points(1 + random.below(200))
        assert.equal(points.items.at(-1)?.x, points.items.length - 1)
        break
      }
      case 5:
        if (this.#kept.length > 0) {
          const { view, expected } = random.one(this.#kept)
          assert.equal(await conn.sumTree(view), expected.children.reduce((sum, child) => sum + child.value, expected.value))
        }
        break
      case 6:
        assert.equal((await conn.text('t'.repeat(n % 5000))).length, n % 5000)
        break
      case 7:
        if (this.#held.size < HELD_MAX) this.#hold()
        // The server makes it, the client frees it.
        conn.heap.free(await conn.made({ x: n, y: 0, label: 'made by the server' }))
        break
      default:
        await Promise.all([conn.sleep(1), conn.number(n).then((answer) => assert.equal(answer, n)), conn.sleep(0)])
    }
  }

  #hold(): void {
    const key = `${process.pid} ${holds++}`
    this.#held.set(key, this.conn.hold(key).catch((error: unknown) => (RpcError.is(error) ? error.code : String(error))))
  }

  async #pipelined(n: number): Promise<void> {
    const copies = await Promise.all(Array.from({ length: 20 }, (_, i) => this.conn.copy({ x: n + i - 1, y: n + i, label: 'kept' })))
    for (const [i, copy] of copies.entries()) {
      assert.equal(copy.y, n + i)
      if (this.random.chance(4)) this.#results.push(copy)
      else copy[Symbol.dispose]()
    }
    while (this.#results.length > KEPT_MAX) this.#results.splice(this.random.below(this.#results.length), 1)[0]![Symbol.dispose]()
  }

  #allocate(): void {
    const { heap } = this.conn
    for (let i = this.random.below(8); i >= 0; i--) {
      const expected = this.#tree()
      this.#kept.push({ view: heap.new(Tree, expected), expected })
      while (this.#kept.length > KEPT_MAX) heap.free(this.#kept.splice(this.random.below(this.#kept.length), 1)[0]!.view, { deep: true })
    }
  }

  #tree(): PlainTree {
    const { random } = this
    const children = Array.from({ length: random.below(30) }, (_, value) => ({ value, name: 'the name of a child '.repeat(random.below(4)), children: [] }))
    return { value: random.below(1000), name: 'x'.repeat(random.below(200)), children }
  }
}
