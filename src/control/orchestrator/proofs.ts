import { RpcError } from '../../base/errors.js'
import type { BookEntry, Decision } from './state.js'
import type { ConnectionId, ParticipantId } from '../protocol/types.js'

// A daemon that starts after another one's death knows from its book what that one had given out and not got back, and to which user. What each
// participant was given came with a proof that only a daemon of the same runtime directory can make, and that its successor makes again to
// compare: the book says what may be claimed, the proof by whom. A proof ends with its attachment, which leaves the book then.

/** What goes with an attachment, for the day when its holder claims it. */
export function proofOfAttachment(decision: Decision, { uid, role, via, heap, member, kind, address, byteLength }: BookEntry): string {
  return decision.sign(`attachment/${uid}/${role}/${via?.id ?? 0}/${heap}/${member}/${kind}/${address}/${byteLength}`)
}

/** A connection's token: what only its two ends know, and a daemon of the same directory can make again. */
export function tokenOf(decision: Decision, id: ConnectionId, channel: string): string {
  return decision.sign(`connection/${id}/${channel}`)
}

/** A channel's name as a number, so that the book's records are of one size: the same in all daemons of a directory. */
export function numberOfName(decision: Decision, name: string): number {
  return Number.parseInt(decision.sign(`channel/${name}`).slice(0, NAME_DIGITS), 16)
}
/** Hexadecimal digits of 48 bits: two of a thousand names are the same number once in some billion daemons. */
const NAME_DIGITS = 12

export function userOf(decision: Decision, participant: ParticipantId): number {
  return decision.participants.get(participant)?.uid ?? -1
}

/** Throws PERMISSION_DENIED unless who claims something was given it by a daemon of this runtime directory. */
export function requireProof(given: string, expected: string, what: string): void {
  if (isSame(given, expected)) return
  throw new RpcError('PERMISSION_DENIED', `no daemon of this runtime directory gave this process ${what}, or the directory's daemon.key was replaced since`)
}

/** Takes as long wherever the two differ. */
function isSame(a: string, b: string): boolean {
  let differences = a.length ^ b.length
  for (let i = 0; i < b.length; i++) differences |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return differences === 0
}
