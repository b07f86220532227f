// A typed server. It ends on SIGTERM or Ctrl-C.
import { once } from 'node:events'
import { plain, serve } from 'rpcool'
import { Timeline } from './service.js'

const posts: { author: string, body: string, likes: number }[] = []

await using server = await serve('demo/timeline', Timeline, {
  // The argument is a view of the client's memory. What is to outlive the call is copied.
  publish: (post) => posts.push(plain(post)),
  latest: (count) => posts.slice(-count).toReversed(),
})
console.log(`serving ${server.channel}`)
await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
