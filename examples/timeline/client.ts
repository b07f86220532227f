// A typed client.
import { connect } from 'rpcool'
import { Timeline } from './service.js'

await using timeline = await connect('demo/timeline', Timeline)

// `await` leaves the event loop free; `sync` waits on this thread, and is the fastest there is.
await timeline.publish({ author: 'ada', body: 'Hello, shared memory!', likes: 1 })
timeline.sync.publish({ author: 'grace', body: 'No bytes were serialized.', likes: 2 })

// The result is read where the server built it. `using` gives its memory back.
using posts = await timeline.latest(10)
for (const { author, body, likes } of posts) console.log(`${author}: ${body} (${likes})`)
