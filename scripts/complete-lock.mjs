// Run after `npm install` changed package-lock.json: node scripts/complete-lock.mjs
// npm leaves optional packages for other platforms out of the lockfile when the registry at hand does not have them
// (a mirror often has only some), and `npm ci` then refuses the lockfile everywhere. They are never downloaded here,
// so their name, version and platform are enough.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMain, main, root, say } from './console.mjs'

const OS = /\b(android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)\b/
const CPU = /\b(arm64|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|x64)\b/

/** Adds what is missing to a lockfile's packages; returns the names added. */
export function completeLock(lock) {
  const added = []
  for (const [path, entry] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (lock.packages[`${path}/node_modules/${name}`] !== undefined || lock.packages[`node_modules/${name}`] !== undefined) continue
      const os = OS.exec(name)?.[1]
      const cpu = CPU.exec(name)?.[1]
      if (os === undefined || cpu === undefined) throw new Error(`${name}: its name does not say for which platform it is`)
      const libc = os === 'linux' ? { libc: [name.includes('musl') ? 'musl' : 'glibc'] } : {}
      lock.packages[`node_modules/${name}`] = { version, cpu: [cpu], dev: true, ...libc, optional: true, os: [os] }
      added.push(name)
    }
  }
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'))
  lock.packages = Object.fromEntries(sorted)
  return added
}

if (isMain(import.meta.url)) {
  await main(() => {
    const file = join(root, 'package-lock.json')
    const lock = JSON.parse(readFileSync(file, 'utf8'))
    const added = completeLock(lock)
    if (added.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
    say(`package-lock.json: ${added.length} optional packages added`)
  })
}
