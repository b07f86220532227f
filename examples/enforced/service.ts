// A bank that books what nobody can change while it is being booked.
import { method, service, struct, text, u32 } from 'rpcool'

export const Entry = struct('Entry', { account: text, amount: u32 })

export const Bank = service('bank', {
  book: method(1, Entry, text, { isolation: 'seal' }),
})
