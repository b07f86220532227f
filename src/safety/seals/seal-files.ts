import { RpcError } from '../../base/errors.js'
import { addon, errnoCode, Mapping } from '../../sys/index.js'

/** A userfaultfd of this process; the caller's to close. Takes over the device. */
export function makeUserfault(device: number): number {
  try {
    return addon.createUserfault(device)
  } catch (cause) {
    if (errnoCode(cause) === undefined) throw cause
    throw new RpcError('FAILED_PRECONDITION', `userfaultfd is not permitted here (${String(cause)}); run the sealer as root, or use snapshot isolation, which needs no permission`, { cause })
  } finally {
    if (device >= 0) addon.closeFd(device)
  }
}

/** Maps files and closes their descriptors; each with its length and whether it is written. */
export function mapAll(fds: readonly number[], layouts: ReadonlyArray<readonly [byteLength: number, writable: boolean]>): Mapping[] {
  const mappings: Mapping[] = []
  try {
    for (const [i, [byteLength, writable]] of layouts.entries()) mappings.push(Mapping.mapLocal(fds[i]!, byteLength, writable))
    return mappings
  } catch (error) {
    for (const mapping of mappings) mapping.unmap()
    throw error
  } finally {
    for (const fd of fds) addon.closeFd(fd)
  }
}
