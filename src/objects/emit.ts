/**
 * Generated code: source text plus the values it closes over. Offsets and tags are constants of the text, so that the
 * engine sees the same code a person would write by hand for one struct.
 */
export class Emitter {
  readonly #names: string[] = []
  readonly #values: unknown[] = []
  readonly #late: Array<{ readonly name: string, readonly source: string }> = []

  /** The name under which generated code finds a value. */
  constant(value: unknown, hint: string): string {
    const known = this.#values.indexOf(value)
    if (known >= 0) return this.#names[known]!
    const name = `${hint}${this.#names.length}`
    this.#names.push(name)
    this.#values.push(value)
    return name
  }

  /** Gives a value the name that generated code uses for it. */
  named(name: string, value: unknown): void {
    if (this.#names.includes(name)) return
    this.#names.push(name)
    this.#values.push(value)
  }

  /** The name of a value that is made only after this code: structs may point at each other. */
  late(owner: object, property: string): string {
    const source = `${this.constant(owner, 'late')}.${property}`
    const known = this.#late.find((entry) => entry.source === source)
    if (known !== undefined) return known.name
    const name = `made${this.#late.length}`
    this.#late.push({ name, source })
    return name
  }

  /** Compiles an expression, then makes its late values. */
  compile(expression: string): { readonly value: unknown, link(): void } {
    const declarations = this.#late.map(({ name }) => `let ${name} = null\n`).join('')
    const assignments = this.#late.map(({ name, source }) => `${name} = ${source}`).join('\n')
    const body = `'use strict'\n${declarations}return { value: ${expression}, link() {\n${assignments}\n} }`
    const factory = Reflect.construct(Function, [...this.#names, body]) as (...values: readonly unknown[]) => { readonly value: unknown, link(): void }
    return factory(...this.#values)
  }
}
