import { RpcError } from '../../base/errors.js'
import { NAME_BYTES_MAX } from './limits.js'

const SEGMENT = /^[A-Za-z0-9._-]+$/

/** What is wrong with a channel's name, or undefined when nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty'
  // Only ASCII passes below, where characters are bytes.
  if (name.length > NAME_BYTES_MAX) return `it has more than ${NAME_BYTES_MAX} bytes`
  for (const segment of name.split('/')) {
    if (segment === '') return 'it has an empty segment (a slash at an end, or two in a row)'
    if (segment === '.' || segment === '..') return `"${segment}" is not allowed as a segment`
    if (!SEGMENT.test(segment)) return `the segment ${JSON.stringify(segment)} has characters other than A-Z a-z 0-9 . _ -`
  }
  return undefined
}

/** Throws INVALID_ARGUMENT for what cannot be a channel's name, such as `rack1/users/search` is. */
export function checkName(name: string): void {
  if (typeof name !== 'string') throw new RpcError('INVALID_ARGUMENT', `a channel's name is a string, such as 'rack1/users', not ${typeof name}`)
  const problem = nameProblem(name)
  if (problem === undefined) return
  const shown = name.length > 80 ? `${name.slice(0, 80)}…` : name
  throw new RpcError('INVALID_ARGUMENT', `${JSON.stringify(shown)} cannot name a channel: ${problem}`)
}

/** Up to three of the names that somebody who typed `wanted` may have meant, nearest first. */
export function similarNames(wanted: string, names: Iterable<string>): string[] {
  const limit = Math.max(1, Math.min(3, Math.floor(wanted.length / 3)))
  const scored: Array<readonly [name: string, distance: number]> = []
  for (const name of names) {
    const distance = sharesLastSegment(wanted, name) ? 1 : editDistance(wanted, name, limit)
    if (distance <= limit) scored.push([name, distance])
  }
  return scored.sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 3).map(([name]) => name)
}

function sharesLastSegment(a: string, b: string): boolean {
  return a.slice(a.lastIndexOf('/') + 1) === b.slice(b.lastIndexOf('/') + 1)
}

/** Levenshtein's distance, or limit + 1 as soon as it is clear that it is more. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    if (Math.min(...next) > limit) return limit + 1
    row = next
  }
  return row[b.length] ?? 0
}
