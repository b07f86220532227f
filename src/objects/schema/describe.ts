import { createHash } from 'node:crypto'
import { RpcError } from '../../base/errors.js'
import { codecOf, type AnyType, type Describer, type NamedNode, type TypeNode } from '../codec.js'

/** A type with every struct it reaches, as JSON: what peers compare when they connect. */
export interface TypeDescription {
  readonly type: TypeNode
  /** Sorted by name. */
  readonly structs: readonly StructDescription[]
}

/** A struct in a {@link TypeDescription}. */
export interface StructDescription {
  readonly name: string
  /** In order of declaration. */
  readonly fields: readonly NamedNode[]
}

class Collector implements Describer {
  readonly #structs = new Map<string, { readonly codec: unknown, fields: StructDescription['fields'] }>()

  node(type: AnyType): TypeNode {
    return codecOf(type).describe(this)
  }

  struct(codec: Parameters<Describer['struct']>[0]): void {
    const known = this.#structs.get(codec.name)
    if (known !== undefined) {
      if (known.codec !== codec) throw new RpcError('INVALID_ARGUMENT', `two different structs are named ${codec.name}; names must differ within a service`)
      return
    }
    // Entered before its fields are looked at, which may lead back here.
    const entry = { codec, fields: [] as StructDescription['fields'] }
    this.#structs.set(codec.name, entry)
    entry.fields = codec.fieldNodes(this)
  }

  structs(): readonly StructDescription[] {
    return [...this.#structs].map(([name, { fields }]) => ({ name, fields })).sort((a, b) => a.name < b.name ? -1 : 1)
  }
}

/** Describes a type and everything it reaches; equal schemas give equal descriptions. */
export function describe(type: AnyType): TypeDescription {
  const collector = new Collector()
  const node = collector.node(type)
  return { type: node, structs: collector.structs() }
}

/** Sixteen hexadecimal digits of SHA-256 over a description, of one type or of anything that is JSON. */
export function fingerprint(description: object): string {
  return createHash('sha256').update(JSON.stringify(description)).digest('hex').slice(0, 16)
}
