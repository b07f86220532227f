/** A node of the list that walks are compared on. */
export interface PlainNode {
  value: number
  next: PlainNode | null
}

/** A random order of 0 .. count-1 (Fisher-Yates over xorshift32), the same for the same seed. */
export function randomOrder(count: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  let x = seed | 0
  for (let i = count - 1; i > 0; i--) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    const j = (x >>> 0) % (i + 1)
    const kept = order[i] ?? 0
    order[i] = order[j] ?? 0
    order[j] = kept
  }
  return order
}

/**
 * Allocates `order.length` nodes one after the other and links them in `order`, so that a walk jumps through memory as it
 * would through a heap in use. Node i has value i. Answers the head.
 */
export function plainList(order: Uint32Array): PlainNode {
  const nodes = Array.from(order, (_, i): PlainNode => ({ value: i, next: null }))
  let head: PlainNode | null = null
  for (let i = order.length - 1; i >= 0; i--) {
    const node: PlainNode | undefined = nodes[order[i] ?? 0]
    if (node === undefined) throw new RangeError('the order names a node that is not there')
    node.next = head
    head = node
  }
  if (head === null) throw new RangeError('a list needs a node')
  return head
}

/** The loop that is compared, as a user writes it. */
export function walkPlain(head: PlainNode): number {
  let sum = 0
  for (let n: PlainNode | null = head; n !== null; n = n.next) sum += n.value
  return sum
}
