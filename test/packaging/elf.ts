// Reads from an ELF shared object what it asks of the system that loads it. Source: the ELF specification and
// the Linux Standard Base's chapter on symbol versioning (.gnu.version, .gnu.version_r).
//
//   .dynsym    24-byte symbols: name u32, info u8, other u8, section u16, value u64, size u64
//   .gnu.version    one u16 per symbol: the index of its version
//   .gnu.version_r  chain of files needed { version u16, count u16, file u32, aux u32, next u32 },
//                   each with a chain of versions { hash u32, flags u16, index u16, name u32, next u32 }

import assert from 'node:assert/strict'

export const OLDEST_GLIBC = '2.28'

export interface ImportedSymbol {
  readonly name: string
  /** Such as GLIBC_2.2.5; empty for a symbol without a version. */
  readonly version: string
  readonly weak: boolean
}

export interface Elf {
  readonly machine: string
  readonly needed: readonly string[]
  readonly imports: readonly ImportedSymbol[]
}

interface Section {
  readonly type: number
  readonly link: number
  readonly bytes: Buffer
}

const MACHINES = new Map([[62, 'x86-64'], [183, 'aarch64']])
const SHT_DYNAMIC = 6
const SHT_DYNSYM = 11
const SHT_GNU_VERNEED = 0x6ffffffe
const SHT_GNU_VERSYM = 0x6fffffff
const DT_NEEDED = 1
const STB_WEAK = 2
const SYMBOL_BYTES = 24

export function readElf(file: Buffer): Elf {
  if (file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) throw new Error('not a 64-bit little-endian ELF file')
  const sections = readSections(file)
  return {
    machine: MACHINES.get(file.readUInt16LE(18)) ?? `machine ${file.readUInt16LE(18)}`,
    needed: readNeeded(sections),
    imports: readImports(sections),
  }
}

/** Whether a dotted version such as 2.34 is above another. */
function versionAbove(version: string, limit: string): boolean {
  const parts = version.split('.').map(Number)
  const limits = limit.split('.').map(Number)
  for (let at = 0; at < Math.max(parts.length, limits.length); at++) {
    const difference = (parts[at] ?? 0) - (limits[at] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return false
}

function readSections(file: Buffer): Section[] {
  const table = Number(file.readBigUInt64LE(40))
  const entryBytes = file.readUInt16LE(58)
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => {
    const header = file.subarray(table + index * entryBytes, table + (index + 1) * entryBytes)
    const offset = Number(header.readBigUInt64LE(24))
    return { type: header.readUInt32LE(4), link: header.readUInt32LE(40), bytes: file.subarray(offset, offset + Number(header.readBigUInt64LE(32))) }
  })
}

function readNeeded(sections: readonly Section[]): string[] {
  const dynamic = find(sections, SHT_DYNAMIC)
  const needed: string[] = []
  for (let at = 0; at < dynamic.bytes.length; at += 16) {
    if (Number(dynamic.bytes.readBigUInt64LE(at)) === DT_NEEDED) {
      needed.push(nameAt(sections, dynamic, Number(dynamic.bytes.readBigUInt64LE(at + 8))))
    }
  }
  return needed
}

function readImports(sections: readonly Section[]): ImportedSymbol[] {
  const symbols = find(sections, SHT_DYNSYM)
  const indexes = find(sections, SHT_GNU_VERSYM).bytes
  const versions = readVersions(sections)
  const imports: ImportedSymbol[] = []
  for (let index = 1; index * SYMBOL_BYTES < symbols.bytes.length; index++) {
    const symbol = symbols.bytes.subarray(index * SYMBOL_BYTES)
    if (symbol.readUInt16LE(6) !== 0) continue // defined here
    imports.push({
      name: nameAt(sections, symbols, symbol.readUInt32LE(0)),
      version: versions.get(indexes.readUInt16LE(index * 2) & 0x7fff) ?? '',
      weak: symbol.readUInt8(4) >> 4 === STB_WEAK,
    })
  }
  return imports
}

function readVersions(sections: readonly Section[]): Map<number, string> {
  const needs = find(sections, SHT_GNU_VERNEED)
  const versions = new Map<number, string>()
  for (let file = 0, nextFile = -1; nextFile !== 0; file += nextFile) {
    let at = file + needs.bytes.readUInt32LE(file + 8)
    for (let left = needs.bytes.readUInt16LE(file + 2); left > 0; left--) {
      versions.set(needs.bytes.readUInt16LE(at + 6), nameAt(sections, needs, needs.bytes.readUInt32LE(at + 8)))
      at += needs.bytes.readUInt32LE(at + 12)
    }
    nextFile = needs.bytes.readUInt32LE(file + 12)
  }
  return versions
}

function find(sections: readonly Section[], type: number): Section {
  const section = sections.find((candidate) => candidate.type === type)
  if (section === undefined) throw new Error(`the ELF file has no section of type 0x${type.toString(16)}`)
  return section
}

function nameAt(sections: readonly Section[], { link }: Section, offset: number): string {
  const names = sections[link]?.bytes ?? Buffer.alloc(0)
  return names.toString('latin1', offset, names.indexOf(0, offset))
}

/** That it asks for no newer glibc than {@link OLDEST_GLIBC}, and for nothing but the C library and Node-API. */
export function assertRunsOnOldSystems(elf: Elf): void {
  const tooNew = elf.imports.filter(({ version }) => version.startsWith('GLIBC_') && versionAbove(version.slice('GLIBC_'.length), OLDEST_GLIBC))
  assert.deepEqual(tooNew.map(({ name, version }) => `${name}@${version}`), [], 'symbols newer than the oldest glibc')
  assert.deepEqual(elf.needed.filter((library) => !/^(libc\.so\.6|libpthread\.so\.0|libdl\.so\.2|librt\.so\.1|libm\.so\.6|ld-linux-.*)$/.test(library)), [])
  const strangers = elf.imports.filter(({ name, version, weak }) => version === '' && !weak && !/^(napi|node_api)_/.test(name))
  assert.deepEqual(strangers.map(({ name }) => name), [], 'symbols that neither libc nor Node-API has')
}
