import { assert } from '../../base/assert.js'
import { addon, createMemoryFile } from '../../sys/index.js'
import type { HeapId } from '../protocol/types.js'

interface File {
  readonly fd: number
  /** Messages that wait to take the file along. */
  users: number
  dropped: boolean
}

/** The daemon's descriptors of memory files. Each is closed when it was dropped and no message waits to take it along. */
export class Files {
  readonly #files = new Map<HeapId, File>()

  /** Makes a memory file. Throws what the kernel says. */
  create(heap: HeapId, label: string, byteLength: number, toPublish: boolean): void {
    // The kernel allows 249 bytes for a name; a label is there for who reads /proc.
    this.adopt(heap, createMemoryFile(label.slice(0, 100), byteLength, toPublish))
  }

  /** Takes over a descriptor. */
  adopt(heap: HeapId, fd: number): void {
    assert(!this.#files.has(heap), `heap ${heap} has a file already`)
    this.#files.set(heap, { fd, users: 0, dropped: false })
  }

  /** The descriptors to send along; `done` must be called once they have left. */
  use(heaps: readonly HeapId[]): { fds: number[], done: () => void } {
    const files = heaps.map((heap) => {
      const file = this.#files.get(heap)
      assert(file !== undefined, `heap ${heap} has no file to send`)
      file.users++
      return [heap, file] as const
    })
    return {
      fds: files.map(([, file]) => file.fd),
      done: () => {
        for (const [heap, file] of files) {
          file.users--
          this.#closeUnused(heap, file)
        }
      },
    }
  }

  /** The daemon needs the file no more. Nothing when there is none (it could not be made). */
  drop(heap: HeapId): void {
    const file = this.#files.get(heap)
    if (file === undefined) return
    file.dropped = true
    this.#closeUnused(heap, file)
  }

  closeAll(): void {
    for (const { fd } of this.#files.values()) addon.closeFd(fd)
    this.#files.clear()
  }

  #closeUnused(heap: HeapId, file: File): void {
    if (!file.dropped || file.users > 0 || this.#files.get(heap) !== file) return
    this.#files.delete(heap)
    addon.closeFd(file.fd)
  }
}
