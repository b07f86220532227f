// Two real processes: documents and their shapes are written by one and read and changed by the other.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connect, fast, jsonPath, plain } from '../../../src/index.js'
import { Documents, Holder, nested } from './peer-service.js'

type Tree = Record<string, unknown>

test('documents go between processes, by pointer and by value, and are changed by both', async () => {
  const channel = `test/json/${process.pid}`
  const peer = fork(fileURLToPath(new URL('./peer-main.js', import.meta.url)), [channel])
  try {
    await once(peer, 'message')
    await using conn = await connect(channel, Documents)
    const value: Tree = { count: 1, old: true, list: [1], name: 'a text with memory', inner: { a: 'κλειδί' } }

    // As a plain value, and as a document in shared memory: a dictionary first, then with a shape.
    for (let times = 0; times < 5; times++) {
      assert.equal(conn.sync.describe(value), `${Object.keys(value).join()} ${JSON.stringify(value)}`)
      const document = conn.heap.json(value)
      assert.equal(await conn.describe(document), `${Object.keys(value).join()} ${JSON.stringify(value)}`)
      assert.equal(conn.sync.describe(document['inner'] as Tree), 'a {"a":"κλειδί"}')
      assert.equal(conn.sync.describe(fast(document)), `${Object.keys(value).join()} ${JSON.stringify(value)}`)

      conn.sync.change(document)
      const changed = { ...value, count: 2, list: [1, 'pushed by the peer'], 'added by the peer': { list: ['a text with memory', 1.5, null] } } as Tree
      delete changed['old']
      assert.deepStrictEqual(plain(document), changed)
      assert.ok(jsonPath('count').equals(2)(document))
      document['name'] = 'changed here'
      assert.equal(conn.sync.describe({ n: document['name'] }), 'n {"n":"changed here"}')
      conn.heap.free(document)
    }

    // Results: views of the peer's memory, given back with `using`.
    for (let depth = 0; depth < 20; depth++) {
      const made = conn.sync.make(depth)
      assert.deepStrictEqual(plain(made), nested(depth))
      ;(made as unknown as Disposable)[Symbol.dispose]()
    }
    for (const scalar of ['short', 'a text with memory', 1.5, 7, true, null, 'κλειδί']) assert.equal(conn.sync.echo(scalar), scalar)
    assert.deepStrictEqual(plain(await conn.echo([1, { a: ['a text with memory'] }])), [1, { a: ['a text with memory'] }])

    // A struct that owns its document; the peer keeps the pointer and sees later changes.
    const holder = conn.heap.new(Holder, { document: { state: 'before' } })
    conn.sync.keep(holder)
    assert.equal(conn.sync.read('state'), 'before')
    holder.document['state'] = 'after the change'
    assert.equal(conn.sync.read('state'), 'after the change')
    conn.heap.free(holder)

    // After warming up, nothing stays but shapes.
    const before = conn.heap.stats().liveBlocks
    for (let i = 0; i < 200; i++) {
      const document = conn.heap.json({ ...value, count: i })
      conn.sync.change(document)
      conn.heap.free(document)
    }
    conn.heap.collect()
    assert.ok(conn.heap.stats().liveBlocks <= before + 2, `${conn.heap.stats().liveBlocks} blocks live, ${before} before`)
  } finally {
    if (peer.connected) peer.send('end')
    await once(peer, 'exit')
  }
})
