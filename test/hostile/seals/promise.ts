// The documentation's promise about seals, made from the table that the hostile suite runs.
import { formatStrength, HOLES, strengthOf, type Hole, type Strength } from '../../../src/safety/seals/strength.js'
import { ATTACKS, expectedOf, type Expected } from './expected.js'

const CONFINED: Strength = strengthOf({ confined: true, fileClosed: true, events: true, mappingFinal: true, sameUser: false })
const BY_ITSELF: Strength = strengthOf({ confined: false, fileClosed: true, events: true, mappingFinal: false, sameUser: false })
const UNPRIVILEGED: Strength = strengthOf({ confined: false, fileClosed: true, events: false, mappingFinal: false, sameUser: true })

const COLUMNS: ReadonlyArray<readonly [head: string, strength: Strength]> = [
  ['`rpcool run`, sealer is root', CONFINED],
  ['by itself, sealer is root', BY_ITSELF],
  ['by itself, sealer is its user\'s', UNPRIVILEGED],
]

const WORDS: Readonly<Record<Expected, string>> = { 'held': 'held', 'not held': '**not held**', 'either': '**not held** (a race)' }

/** The generated part of docs/seals.md. */
export function renderPromise(): string {
  const strengths = COLUMNS.map(([head, strength]) => `* ${head}: \`${formatStrength(strength)}\``)
  const holes = (Object.keys(HOLES) as Hole[]).map((hole) => `| \`${hole}\` | ${HOLES[hole]} |`)
  const rows = ATTACKS.map((row) => `| ${row.name} | ${COLUMNS.map(([, strength]) => WORDS[expectedOf(row, strength)]).join(' | ')} |`)
  return [
    ...strengths, '', '| exception | what gets through |', '|---|---|', ...holes, '',
    `| attack | ${COLUMNS.map(([head]) => head).join(' | ')} |`, `|---|${'---|'.repeat(COLUMNS.length)}`, ...rows, '',
  ].join('\n')
}
