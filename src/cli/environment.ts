import { readFileSync } from 'node:fs'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * What a program of another user gets of its launcher's environment: where programs and libraries lie, language, time, terminal, how Node
 * runs, our own settings. Anything else may be a secret of the launcher's user, and is handed on by name only.
 */
const KEPT = new Set([
  'PATH', 'LD_LIBRARY_PATH', 'LANG', 'LANGUAGE', 'TZ', 'TERM', 'COLORTERM', 'NO_COLOR', 'FORCE_COLOR', 'NODE_ENV', 'NODE_OPTIONS', 'NODE_PATH', 'NODE_NO_WARNINGS',
])
const KEPT_PREFIXES = ['LC_', 'RPCOOL_']

/** Of a line of passwd(5): name, password, user, group, comment, home, shell. Nothing for who has no account. */
export type Account = readonly string[]

export function accountOf(user: number, accounts = readAccounts()): Account {
  return accounts.split('\n').map((line) => line.split(':')).find(([, , uid]) => uid === String(user)) ?? []
}

/** The environment for a program that becomes another user: what is kept, what is named, and that user's own name and home. */
export function environmentFor(account: Account, environment: Environment, named: readonly string[]): Environment {
  const isKept = (name: string): boolean => KEPT.has(name) || KEPT_PREFIXES.some((prefix) => name.startsWith(prefix))
  const kept = Object.entries(environment).filter(([name]) => isKept(name))
  return { ...Object.fromEntries(kept), ...identityOf(account), ...Object.fromEntries(named.map((name) => [name, environment[name]])) }
}

/** That user's own group, or undefined for who has no account. */
export function groupOf([, , , group]: Account): number | undefined {
  return group !== undefined && /^\d+$/.test(group) ? Number(group) : undefined
}

/** As login sets it. Who has no account has the root folder for a home. */
function identityOf([name, , , , , home, shell]: Account): Environment {
  return { HOME: home === undefined || home === '' ? '/' : home, USER: name, LOGNAME: name, SHELL: shell === '' ? undefined : shell }
}

function readAccounts(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8')
  } catch {
    return ''
  }
}
