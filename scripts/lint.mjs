// npm run lint: oxlint with type-aware rules; any warning fails.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { isMain, main, root } from './console.mjs'
import { setUp } from './setup.mjs'

/** Lints the whole tree; returns what was found, as text, and whether it was clean. Needs the packages installed. */
export function lint() {
  const args = [join(root, 'node_modules', 'oxlint', 'bin', 'oxlint'), '--type-aware', '--deny-warnings', '--report-unused-disable-directives']
  const result = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 })
  return { clean: result.status === 0, text: `${result.stdout}${result.stderr}`.trim() }
}

if (isMain(import.meta.url)) {
  await main(async () => {
    await setUp()
    const { clean, text } = lint()
    process.stdout.write(`${clean ? 'lint: clean' : text}\n`)
    return clean ? 0 : 1
  })
}
