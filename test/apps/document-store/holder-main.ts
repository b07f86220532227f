// A client that holds the results of a search until it is killed: the argument is the channel.
import { openStore } from '../../../apps/document-store/client.js'

const client = await openStore(process.argv[2]!)
const held = client.sync.find({})
process.once('disconnect', () => process.exit(0))
process.send?.({ id: 0, result: held.length })
