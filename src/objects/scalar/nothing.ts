import type { Region } from '../../memory/region.js'
import type { Build } from '../graph/build.js'
import { CODEC, Codec, once } from '../codec.js'
import { mismatch } from '../problems.js'
import type { NothingType } from '../types.js'

export class NothingCodec extends Codec {
  readonly bytes = 0
  readonly align = 1

  override get immediate(): boolean {
    return true
  }

  read(): undefined {
    return undefined
  }

  write(_build: Build, _region: Region, _p: number, value: unknown, where: string): void {
    if (value !== undefined && value !== null) mismatch(where, 'nothing (undefined)', value)
  }

  copy(): void {}

  describe(): string {
    return 'nothing'
  }

  override writeCell(_build: Build | null, value: unknown, out: Int32Array, index: number, where: string): boolean {
    if (value !== undefined && value !== null) mismatch(where, 'nothing (undefined)', value)
    out[index] = 0
    out[index + 1] = 0
    return false
  }

  override readCell(): undefined {
    return undefined
  }

  override gatherCell(): void {}

  override copyCell(_copier: unknown, _from: Region, _lo: number, _hi: number, to: Region, q: number): void {
    to.i32[q] = 0
    to.i32[q + 1] = 0
  }
}

/** No value: the argument or result of a method that has none, or an alternative of a union that carries nothing. */
export const nothing: NothingType = {
  kind: 'nothing',
  label: 'nothing',
  [CODEC]: once(() => new NothingCodec(nothing)),
}
