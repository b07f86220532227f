// What a hostile client of seals is offered: every way in which a method can take its argument.
import { method, service, text, u32 } from '../../src/index.js'
import { Shaky } from './isolated-service.js'

export const SealAttacked = service('seal attacked', {
  atOnce: method(1, Shaky, u32, { isolation: 'seal' }),
  later: method(2, Shaky, u32, { isolation: 'seal' }),
  open: method(3, Shaky, u32),
  copied: method(4, Shaky, u32, { isolation: 'snapshot' }),
  word: method(5, u32, u32, { isolation: 'seal' }),
  words: method(6, text, u32, { isolation: 'seal' }),
  back: method(7, Shaky, Shaky, { isolation: 'auto' }),
})
