/** Ranges fewer than this are sorted one by one. */
const FEW = 8

/** Runs of pages: what the kernel is asked about in one call. Pages are counted from the first one of the heap. */
export class PageRuns {
  #page = new Uint32Array(64)
  #pages = new Uint32Array(64)
  #count = 0
  /** The page behind the last run. */
  #end = 0
  #sorted = true
  /** A bit a page, all clear between two merges. */
  #bits = new Int32Array(64)

  get count(): number {
    return this.#count
  }

  clear(): void {
    this.#count = 0
    this.#end = 0
    this.#sorted = true
  }

  /** A range behind the one that was added last makes that run longer. */
  add(page: number, pages: number): void {
    if (this.#count > 0 && page === this.#end) {
      this.#pages[this.#count - 1]! += pages
      this.#end = page + pages
      return
    }
    if (this.#count === this.#page.length) this.#grow()
    this.#sorted &&= page >= this.#end
    this.#page[this.#count] = page
    this.#pages[this.#count] = pages
    this.#count++
    this.#end = page + pages
  }

  /** Sorts the ranges, which must not overlap, and joins those that touch. */
  merge(): void {
    if (this.#sorted) return
    if (this.#count < FEW) this.#insertionSort()
    else this.#bitmapSort()
  }

  page(index: number): number {
    return this.#page[index]!
  }

  pages(index: number): number {
    return this.#pages[index]!
  }

  #insertionSort(): void {
    const count = this.#count
    const [page, pages] = [this.#page, this.#pages]
    for (let i = 1; i < count; i++) {
      const [first, length] = [page[i]!, pages[i]!]
      let at = i
      for (; at > 0 && page[at - 1]! > first; at--) {
        page[at] = page[at - 1]!
        pages[at] = pages[at - 1]!
      }
      page[at] = first
      pages[at] = length
    }
    this.clear()
    // Never more runs than ranges: what is added lies at or before what is read.
    for (let i = 0; i < count; i++) this.add(page[i]!, pages[i]!)
  }

  /** A batch names hundreds of scattered pages of a heap of some thousand: marking and scanning them is a tenth of sorting. */
  #bitmapSort(): void {
    let first = Infinity
    let end = 0
    for (let i = 0; i < this.#count; i++) {
      first = Math.min(first, this.#page[i]!)
      end = Math.max(end, this.#page[i]! + this.#pages[i]!)
    }
    if (this.#bits.length < (end >>> 5) + 1) this.#bits = new Int32Array(2 ** Math.ceil(Math.log2((end >>> 5) + 1)))
    const bits = this.#bits
    for (let i = 0; i < this.#count; i++) {
      for (let page = this.#page[i]!, last = page + this.#pages[i]!; page < last; page++) bits[page >>> 5]! |= 1 << page
    }
    this.clear()
    for (let at = first >>> 5; at <= end >>> 5; at++) {
      let word = bits[at]!
      bits[at] = 0
      while (word !== 0) {
        const low = 31 - Math.clz32(word & -word)
        // The run from its lowest page on: as many as there are ones without a gap.
        const ones = Math.min(32 - low, trailingOnes(word >>> low))
        this.add((at << 5) + low, ones)
        word = low + ones < 32 ? word & (-1 << (low + ones)) : 0
      }
    }
  }

  #grow(): void {
    const [page, pages] = [this.#page, this.#pages]
    this.#page = new Uint32Array(page.length * 2)
    this.#pages = new Uint32Array(page.length * 2)
    this.#page.set(page)
    this.#pages.set(pages)
  }
}

function trailingOnes(word: number): number {
  const gap = ~word
  return gap === 0 ? 32 : 31 - Math.clz32(gap & -gap)
}
