// A client with one call in a handler that does not return.
import { connect } from '../../src/index.js'
import { Everything } from './everything.js'
import { leaveHeir } from './heir.js'

const conn = await connect(process.argv[2]!, Everything)
process.on('disconnect', () => process.exit(0))
process.on('message', ({ id }: { id: number }) => process.send?.({ id, result: leaveHeir() }))
process.send?.({ id: 0, result: null })
await conn.holdPoint({ x: 40, y: 2, label: 'at work' })
