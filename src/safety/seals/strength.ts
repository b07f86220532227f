import { RpcError } from '../../base/errors.js'
import { requireOptions } from '../../base/options.js'

/**
 * What a connection's seals do not hold against, when they hold at all. Each names a family of attacks; `attacks.ts` of the
 * hostile suite has a program for every member.
 */
export const HOLES = {
  'kept-file': 'a descriptor of the heap that the sender shared with an accomplice before the seals began',
  'kept-userfaultfd': 'a copy of the userfaultfd, or of /dev/userfaultfd, that the sender kept',
  'open-file': 'a heap file that can still be written, mapped or punched, because it was made final before the seals began',
  'own-userfaultfd': 'a userfaultfd of the sender\'s own, which the kernel lets undo the protection',
  'pinned-pages': 'pages that the kernel was told to write to (direct I/O, io_uring, process_vm_writev) before they were sealed',
  'fork': 'a child of the sender that was made to inherit the heap',
  'remap': 'a second or moved mapping of the heap in the sender',
  'same-user': 'a sender of the same user as the sealer or the receiver, which could attach to it with ptrace, or open the descriptors again to write them',
} as const

/** What seals may fail to hold against: named by {@link ConnectionSeals.except}. */
export type Hole = keyof typeof HOLES

/** What seals hold against, as verified when the connection attached. */
export interface Strength {
  /** `cooperative`: they catch mistakes; a hostile sender can undo them. */
  readonly kind: 'enforced' | 'cooperative'
  /** What they do not hold against; empty for `cooperative`, which holds against nothing. */
  readonly except: readonly Hole[]
}

/** What was found out about a sender when it attached. */
export interface AttachFacts {
  /** A trusted launcher set the sender's memory up, which is final and kept from children, and confined it, before its program began. */
  readonly confined: boolean
  /** The heap's file accepts no new writable mapping and no write. */
  readonly fileClosed: boolean
  /** The kernel tells of forks and of moved mappings. */
  readonly events: boolean
  /** The sender's user is the sealer's, or the receiver's. */
  readonly sameUser: boolean
}

/** Only what is known to be closed is left out. */
export function strengthOf(facts: AttachFacts): Strength {
  const except: Hole[] = []
  if (!facts.confined) except.push('kept-file', 'kept-userfaultfd', 'own-userfaultfd', 'pinned-pages')
  if (!facts.fileClosed) except.push('open-file')
  // Who is confined can change neither.
  if (!facts.events && !facts.confined) except.push('fork', 'remap')
  if (facts.sameUser) except.push('same-user')
  return { kind: 'enforced', except }
}

export const COOPERATIVE: Strength = { kind: 'cooperative', except: [] }

/** `enforced`, `enforced except [fork, remap]` or `cooperative`. */
export function formatStrength({ kind, except }: Strength): string {
  return except.length === 0 ? kind : `${kind} except [${except.join(', ')}]`
}

/** What a server asks of its clients' seals. */
export interface SealDemand {
  /**
   * `enforced`: the kernel must hold against everything but what is named in `except`. `cooperative`: seals that a client puts on itself
   * will do, for finding mistakes. Where nothing is said the kernel must enforce them, and any hole is put up with.
   */
  readonly require?: 'enforced' | 'cooperative'
  /** Attacks that the server puts up with; none by default, where `require` is said. */
  readonly except?: readonly Hole[]
}

/** Refuses what is no demand. */
export function requireSealDemand(demand: SealDemand): void {
  requireOptions('seals', demand, { require: true, except: true })
  const { require, except = [] } = demand
  if (require !== undefined && require !== 'enforced' && require !== 'cooperative') {
    throw new RpcError('INVALID_ARGUMENT', `seals.require is 'enforced' or 'cooperative', not ${String(require)}`)
  }
  const unknown = except.find((one) => !isHole(one))
  if (unknown !== undefined) throw new RpcError('INVALID_ARGUMENT', `seals.except names "${String(unknown)}"; known are ${Object.keys(HOLES).join(', ')}`)
}

/** What is to be done where a server demands more than these seals; `open`: the attacks that it does not put up with. */
export function remedyOf({ kind, except }: Strength, open = except): string {
  if (kind === 'cooperative') return 'leave out the client\'s seals.backend, or have the server take such seals: serve\'s option seals: { require: \'cooperative\' }'
  const user = open.includes('same-user') ? ' --user NUMBER' : ''
  return `start the client by "rpcool run${user} -- …"${user === '' ? '' : ', as root'}, or have the server put up with it: ` +
    `serve's option seals: { require: 'enforced', except: [${except.map((hole) => `'${hole}'`).join(', ')}] }`
}

/** What a demand misses, as a clause for whoever called; undefined when it is met. */
export function unmetDemand(strength: Strength, { require, except }: SealDemand): string | undefined {
  if (require === 'cooperative') return undefined
  if (strength.kind === 'cooperative') return `the server demands seals that the kernel enforces, and the client's are cooperative: ${remedyOf(strength)}`
  if (require === undefined && except === undefined) return undefined
  const open = strength.except.filter((hole) => except?.includes(hole) !== true)
  return open.length === 0 ? undefined
    : `the server demands seals that hold against [${open.join(', ')}], and the client's are ${formatStrength(strength)}: ${remedyOf(strength, open)}`
}

/** A connection's seals, as its ends are told of them: what was verified when they attached. */
export interface ConnectionSeals {
  /** `enforced`, `enforced except [fork, remap]` or `cooperative`. */
  readonly strength: string
  readonly kind: Strength['kind']
  /** What they do not hold against. */
  readonly except: readonly Hole[]
}

export function describeSeals(strength: Strength): ConnectionSeals {
  return { strength: formatStrength(strength), kind: strength.kind, except: [...strength.except] }
}

export function isHole(value: unknown): value is Hole {
  return typeof value === 'string' && Object.hasOwn(HOLES, value)
}
