// The documentation's promise about seals, made from the table that the hostile suite runs.
import { COOPERATIVE, formatStrength, HOLES, strengthOf, type Hole, type Strength } from '../../../src/safety/seals/strength.js'
import { ATTACKS, type AttackRow, expectedOf, type Expected } from './expected.js'

const CONFINED: Strength = strengthOf({ confined: true, fileClosed: true, events: true, sameUser: false })
const BY_ITSELF: Strength = strengthOf({ confined: false, fileClosed: true, events: true, sameUser: false })
const UNPRIVILEGED: Strength = strengthOf({ confined: false, fileClosed: true, events: false, sameUser: true })

const COLUMNS: ReadonlyArray<readonly [head: string, strength: Strength]> = [
  ['`rpcool run`, sealer is root', CONFINED],
  ['by itself, sealer is root', BY_ITSELF],
  ['by itself, sealer is its user\'s', UNPRIVILEGED],
  ['cooperative', COOPERATIVE],
]

const WORDS: Readonly<Record<Expected, string>> = { 'held': 'held', 'not held': '**not held**', 'refused': 'refused', 'none': '**nobody looks**' }

/** The generated part of docs/seals.md. */
export function renderPromise(): string {
  const strengths = COLUMNS.map(([head, strength]) => `* ${head}: \`${formatStrength(strength)}\``)
  const holes = (Object.keys(HOLES) as Hole[]).map((hole) => `| \`${hole}\` | ${HOLES[hole]} |`)
  const rows = ATTACKS.map((row) => `| ${row.name} | ${COLUMNS.map(([, strength]) => wordFor(row, strength)).join(' | ')} |`)
  return [
    ...strengths, '', '| exception | what gets through |', '|---|---|', ...holes, '',
    `| attack | ${COLUMNS.map(([head]) => head).join(' | ')} |`, `|---|${'---|'.repeat(COLUMNS.length)}`, ...rows, '',
  ].join('\n')
}

/** A confined program attaches what its launcher has made: there is nothing to refuse. */
function wordFor(row: AttackRow, strength: Strength): string {
  return row.refused === true && strength === CONFINED ? 'impossible' : WORDS[expectedOf(row, strength)]
}
