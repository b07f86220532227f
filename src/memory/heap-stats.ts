/** The blocks of one size in the memory that this end owns. */
export interface SizeStats {
  /** Bytes of a block. */
  readonly blockBytes: number
  readonly liveBlocks: number
  /** Spans that are cut into blocks of this size. */
  readonly spans: number
}

/** What one member of a heap has there. */
export interface MemberStats {
  /** Its number in the heap; one's own has {@link isSelf}. */
  readonly member: number
  /** Bytes of the spans that it owns, whatever is live in them. */
  readonly ownedBytes: number
  readonly isSelf: boolean
  /** It died or left: what it made stays, until its spans are adopted by whoever needs memory. */
  readonly isGone: boolean
}

/** What one end of a connection has allocated, and what is left for everybody. */
export interface HeapStats {
  /** Bytes of the spans that this member owns. */
  readonly ownedBytes: number
  /** Bytes of the blocks that are live in them. */
  readonly liveBytes: number
  readonly liveBlocks: number
  /** Spans that this member owns, large blocks' included. */
  readonly ownedSpans: number
  /** Spans taken over from members that died, so far. */
  readonly adoptedSpans: number
  /** Blocks too large for a span's part, which take whole spans. */
  readonly largeBlocks: number
  /** Remote frees that named no live block: double frees by others, or lies. */
  readonly refusedFrees: number
  /** Bytes of spans nobody owns. */
  readonly freeBytes: number
  /** Who has how much, whoever has most first. Of several heaps, each of which numbers its members: one after the other. */
  readonly members: readonly MemberStats[]
  /** By size, least first; sizes without a span are left out. */
  readonly sizes: readonly SizeStats[]
}

/** The same for several heaps together. */
export function sumStats(all: readonly HeapStats[]): HeapStats {
  const sum = { ownedBytes: 0, liveBytes: 0, liveBlocks: 0, ownedSpans: 0, adoptedSpans: 0, largeBlocks: 0, refusedFrees: 0, freeBytes: 0 }
  for (const stats of all) for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += stats[key]
  return { ...sum, members: all.flatMap(({ members }) => members), sizes: sumSizes(all.flatMap(({ sizes }) => sizes)) }
}

/** Sizes that occur several times are added up. */
export function sumSizes(sizes: readonly SizeStats[]): readonly SizeStats[] {
  const bySize = new Map<number, SizeStats>()
  for (const { blockBytes, liveBlocks, spans } of sizes) {
    const known = bySize.get(blockBytes)
    bySize.set(blockBytes, { blockBytes, liveBlocks: liveBlocks + (known?.liveBlocks ?? 0), spans: spans + (known?.spans ?? 0) })
  }
  return [...bySize.values()].sort((a, b) => a.blockBytes - b.blockBytes)
}
