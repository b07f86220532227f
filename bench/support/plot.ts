/** One curve of a plot, drawn with its mark. */
export interface Series {
  readonly name: string
  readonly mark: string
  readonly points: ReadonlyArray<{ readonly x: number, readonly y: number }>
}

const WIDTH = 64
const HEIGHT = 16
/** Drawn where curves meet. */
const BOTH = '*'

/** Curves over axes that are both logarithmic, as lines of text. All values are above zero. */
export function plotLogLog(series: readonly Series[], label: (y: number) => string, unit: string): string {
  const points = series.flatMap(({ points: own }) => own)
  const column = scale(points.map(({ x }) => x), WIDTH - 1)
  const row = scale(points.map(({ y }) => y), HEIGHT - 1)
  const canvas = Array.from({ length: HEIGHT }, () => Array.from({ length: WIDTH }, () => ' '))
  for (const { mark, points: own } of series) {
    for (let at = column(own[0]!.x); at <= column(own.at(-1)!.x); at++) {
      const line = canvas[HEIGHT - 1 - row(heightAt(own, column, at))]!
      line[at] = line[at] === ' ' || line[at] === mark ? mark : BOTH
    }
  }
  const values = points.map(({ y }) => y)
  const labels = canvas.map((_, line) => line === 0 ? label(Math.max(...values)) : line === HEIGHT - 1 ? label(Math.min(...values)) : '')
  const margin = Math.max(...labels.map(({ length }) => length))
  const last = String(Math.max(...points.map(({ x }) => x)))
  const first = String(Math.min(...points.map(({ x }) => x)))
  return [
    ...canvas.map((line, at) => `${labels[at]!.padStart(margin)} │${line.join('').trimEnd()}`),
    `${' '.repeat(margin)} └${'─'.repeat(WIDTH)}`,
    `${' '.repeat(margin + 2)}${first}${last.padStart(WIDTH - first.length)} ${unit}`,
    `${' '.repeat(margin + 2)}${series.map(({ name, mark }) => `${mark} ${name}`).join('   ')}   ${BOTH} the same`,
  ].join('\n')
}

/** Whole steps from the least value to the greatest. */
function scale(values: readonly number[], steps: number): (value: number) => number {
  const [least, greatest] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))]
  const span = greatest - least || 1
  return (value) => Math.round((Math.log(value) - least) / span * steps)
}

/** The height over a column, on a straight line between the points beside it. */
function heightAt(points: Series['points'], column: (x: number) => number, at: number): number {
  const right = points.findIndex(({ x }) => column(x) >= at)
  const [before, after] = [points[Math.max(0, right - 1)]!, points[right]!]
  const [from, to] = [column(before.x), column(after.x)]
  const part = from === to ? 1 : (at - from) / (to - from)
  return Math.exp(Math.log(before.y) * (1 - part) + Math.log(after.y) * part)
}
