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

/** The environment for a program that becomes another user: what is kept, what is named, and that user's own name and home. */
export function environmentFor(user: number, environment: Environment, named: readonly string[], accounts = readAccounts()): Environment {
  const isKept = (name: string): boolean => KEPT.has(name) || KEPT_PREFIXES.some((prefix) => name.startsWith(prefix))
  const kept = Object.entries(environment).filter(([name]) => isKept(name))
  return { ...Object.fromEntries(kept), ...identityOf(user, accounts), ...Object.fromEntries(named.map((name) => [name, environment[name]])) }
}

/** That user's own group, or undefined for who has no account. */
export function groupOf(user: number, accounts = readAccounts()): number | undefined {
  const [, , , group] = accountOf(user, accounts)
  return group !== undefined && /^\d+$/.test(group) ? Number(group) : undefined
}

/** As login sets it. Source: passwd(5). Who has no account there has the root folder for a home. */
function identityOf(user: number, accounts: string): Environment {
  const [name, , , , , home, shell] = accountOf(user, accounts)
  return { HOME: home === undefined || home === '' ? '/' : home, USER: name, LOGNAME: name, SHELL: shell === '' ? undefined : shell }
}

/** Name, password, user, group, comment, home, shell; nothing for who has no account. */
function accountOf(user: number, accounts: string): readonly string[] {
  return accounts.split('\n').map((line) => line.split(':')).find(([, , uid]) => uid === String(user)) ?? []
}

function readAccounts(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8')
  } catch {
    return ''
  }
}
