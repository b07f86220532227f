import type { NamedNode, TypeNode } from '../codec.js'
import type { StructDescription, TypeDescription } from './describe.js'

/**
 * What keeps two versions of a schema from understanding each other, as sentences; none when they do. A struct may have
 * fields appended on either side. A struct that is held by value somewhere (in a field, list, map, array or optional) may
 * not, because its size is part of its holder's layout.
 *
 * @param theirs comes from a peer: anything is accepted, and what is not a description is a difference.
 */
export function compareDescriptions(mine: TypeDescription, theirs: unknown): string[] {
  const other = parse(theirs)
  if (other === undefined) return ['the peer sent no valid description of its types']
  const differences: string[] = []
  if (print(mine.type) !== print(other.type)) differences.push(`the type is ${print(mine.type)} here and ${print(other.type)} at the peer`)
  const locked = new Set([...heldByValue(mine), ...heldByValue(other)])
  const structs = new Map(other.structs.map((struct) => [struct.name, struct]))
  for (const struct of mine.structs) {
    const counterpart = structs.get(struct.name)
    // Reached by a field that only one side has: the sentence about that field says enough, if it is one.
    if (counterpart !== undefined) compareStructs(struct, counterpart, locked.has(struct.name), differences)
  }
  return differences
}

function compareStructs(mine: StructDescription, theirs: StructDescription, locked: boolean, differences: string[]): void {
  const common = Math.min(mine.fields.length, theirs.fields.length)
  for (let i = 0; i < common; i++) {
    const [name, type] = mine.fields[i]!
    const [otherName, otherType] = theirs.fields[i]!
    if (name !== otherName) {
      differences.push(`field ${i + 1} of struct ${mine.name} is ${name} here and ${otherName} at the peer: fields may only be appended`)
      return
    }
    if (print(type) !== print(otherType)) differences.push(`${mine.name}.${name} is ${print(type)} here and ${print(otherType)} at the peer`)
  }
  if (locked && mine.fields.length !== theirs.fields.length) {
    const [side, extra] = mine.fields.length > theirs.fields.length ? ['here', mine.fields[common]!] : ['at the peer', theirs.fields[common]!]
    differences.push(`${mine.name}.${extra[0]} exists only ${side}, and ${mine.name} is locked because it is held by value: hold it by ref to append fields`)
  }
}

/** Names of structs that lie inline in something else. */
function heldByValue({ type, structs }: TypeDescription): Set<string> {
  const held = new Set<string>()
  const visit = (node: TypeNode, inline: boolean): void => {
    if (typeof node === 'string') return
    const [kind, ...parts] = node
    if (kind === 'struct') {
      if (inline && typeof parts[0] === 'string') held.add(parts[0])
    } else if (kind === 'union') {
      for (const [, type] of variantsOf(node)) visit(type, false)
    } else if (kind === 'sortedMap') {
      // Keys hold no structs, and values lie in blocks of their own.
      if (isNode(parts[1])) visit(parts[1], false)
    } else if (kind !== 'ref') {
      for (const part of parts) if (isNode(part)) visit(part, true)
    }
  }
  visit(type, false)
  for (const { fields } of structs) for (const [, type] of fields) visit(type, true)
  return held
}

function variantsOf(node: TypeNode): readonly NamedNode[] {
  const variants: unknown = node[1]
  return Array.isArray(variants) ? variants.filter((variant: unknown) => isNamed(variant)) : []
}

function print(node: TypeNode): string {
  if (typeof node === 'string') return node
  const [kind, ...parts] = node
  if (kind === 'struct') return String(parts[0])
  if (kind === 'union') return `union(${variantsOf(node).map(([name, type]) => `${name}: ${print(type)}`).join(', ')})`
  return `${kind}(${parts.map((part) => isNode(part) ? print(part) : String(part)).join(', ')})`
}

// Peers are bounded by their message; nesting is bounded here, so that none exhausts the stack.
const MAX_DEPTH = 64

function isNode(value: unknown, depth = 0): value is TypeNode {
  if (typeof value === 'string') return true
  if (depth > MAX_DEPTH || !Array.isArray(value) || typeof value[0] !== 'string') return false
  const parts: readonly unknown[] = value.slice(1)
  return parts.every((part) => typeof part === 'number' || isNode(part, depth + 1) || isListOfNamed(part, depth + 1))
}

function isListOfNamed(value: unknown, depth: number): boolean {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [undefined]
  return parts.every((part) => isNamed(part, depth))
}

function isNamed(value: unknown, depth = 0): value is NamedNode {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isNode(value[1], depth + 1)
}

function parse(value: unknown): TypeDescription | undefined {
  if (typeof value !== 'object' || value === null || !('type' in value) || !('structs' in value)) return undefined
  const { type, structs } = value
  if (!isNode(type) || !Array.isArray(structs) || !structs.every(isStruct)) return undefined
  return { type, structs }
}

function isStruct(value: unknown): value is StructDescription {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string' &&
    'fields' in value && Array.isArray(value.fields) && value.fields.every((field: unknown) => isNamed(field))
}
