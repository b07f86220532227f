import Table from 'cli-table3'

export type Cell = string | number

/** Where a trial's words go: tables for a person, or one JSON object for a program. */
export class Output {
  readonly #human: NodeJS.WritableStream
  readonly #json: boolean
  #finished = false

  constructor(json: boolean) {
    this.#json = json
    this.#human = json ? process.stderr : process.stdout
  }

  note(text: string): void {
    this.#human.write(`${text}\n`)
  }

  /** Numbers are aligned to the right; the first column names the row. */
  table(title: string, head: readonly string[], rows: readonly (readonly Cell[])[]): void {
    const table = new Table({
      head: [...head],
      colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
      style: { head: [], border: [] },
    })
    for (const row of rows) table.push([...row])
    this.note(`\n${title}\n${table.toString()}`)
  }

  /** Ends the run: with `--json` the only thing ever written to stdout. */
  finish(result: object): void {
    if (this.#finished) throw new Error('a run prints one result')
    this.#finished = true
    if (this.#json) process.stdout.write(`${JSON.stringify(result)}\n`)
  }
}

/** 118 ns, 49.3 µs, 1.20 ms: three significant digits and the unit a person would choose. */
export function formatNs(ns: number): string {
  if (ns < 1_000) return `${ns.toPrecision(3)} ns`
  if (ns < 1_000_000) return `${(ns / 1_000).toPrecision(3)} µs`
  if (ns < 1_000_000_000) return `${(ns / 1_000_000).toPrecision(3)} ms`
  return `${(ns / 1_000_000_000).toPrecision(3)} s`
}

export function formatRatio(ratio: number): string {
  return ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3)
}

export function formatPercent(percent: number): string {
  return `${percent.toFixed(2)} %`
}
