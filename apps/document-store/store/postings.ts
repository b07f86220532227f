/** The ids of the documents that have one value: mostly one, so that one costs nothing; of very common values a set. */
export type Postings = number | number[] | Set<number>

/** Beyond this, taking an id out of an array costs more than a set does. */
const ARRAY_MAX = 64

/** Adds an id that is not there. */
export function withId(postings: Postings | undefined, id: number): Postings {
  if (postings === undefined) return id
  if (typeof postings === 'number') return [postings, id]
  if (postings instanceof Set) return postings.add(id)
  if (postings.length >= ARRAY_MAX) return new Set(postings).add(id)
  postings.push(id)
  return postings
}

/** Takes an id out; undefined when none is left. */
export function withoutId(postings: Postings | undefined, id: number): Postings | undefined {
  if (postings === undefined || typeof postings === 'number') return postings === id ? undefined : postings
  if (postings instanceof Set) {
    postings.delete(id)
    return postings.size === 0 ? undefined : postings
  }
  const at = postings.indexOf(id)
  if (at >= 0) postings.splice(at, 1)
  return postings.length === 0 ? undefined : postings
}

export function countOf(postings: Postings | undefined): number {
  if (postings === undefined) return 0
  return typeof postings === 'number' ? 1 : postings instanceof Set ? postings.size : postings.length
}

export function addAll(postings: Postings | undefined, ids: number[]): void {
  if (postings === undefined) return
  if (typeof postings === 'number') ids.push(postings)
  else for (const id of postings) ids.push(id)
}
