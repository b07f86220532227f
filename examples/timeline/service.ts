// What both sides agree on: the types that live in shared memory, and the methods. Types are ordinary values.
import { list, method, service, struct, text, u32 } from 'rpcool'

export const Post = struct('Post', { author: text, body: text, likes: u32 })

export const Timeline = service('timeline', {
  publish: method(1, Post, u32),
  latest: method(2, u32, list(Post)),
})
