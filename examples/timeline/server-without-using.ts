// The same server without `await using`.
import { plain, serve } from 'rpcool'
import { Timeline } from './service.js'

const posts: { author: string, body: string, likes: number }[] = []

const server = await serve('demo/timeline', Timeline, {
  publish: (post) => posts.push(plain(post)),
  latest: (count) => posts.slice(-count).toReversed(),
})
console.log(`serving ${server.channel}`)
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void server.close())
