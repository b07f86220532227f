// The same client without `using`: close and free by hand. What is forgotten goes when the connection or the process ends.
import { connect } from 'rpcool'
import { Timeline } from './service.js'

const timeline = await connect('demo/timeline', Timeline)
try {
  await timeline.publish({ author: 'ada', body: 'Hello, shared memory!', likes: 1 })
  timeline.sync.publish({ author: 'grace', body: 'No bytes were serialized.', likes: 2 })

  const posts = await timeline.latest(10)
  for (const { author, body, likes } of posts) console.log(`${author}: ${body} (${likes})`)
  posts[Symbol.dispose]()
} finally {
  await timeline.close()
}
