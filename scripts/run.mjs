// Runs a compiled program in the foreground, as if it had been started instead of the script.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SetupError, root } from './console.mjs'

/** Runs a compiled file with arguments on the same terminal; resolves with its exit code. */
export async function runProgram(path, args) {
  if (!existsSync(join(root, path))) {
    throw new SetupError(`${path} does not exist: ${path.replace(/^build\//, '').replace(/\.js$/, '.ts')} is not there to be compiled.`)
  }
  const child = spawn(process.execPath, ['--enable-source-maps', join(root, path), ...args], { stdio: 'inherit' })
  // A terminal's interrupt reaches the child by itself; the script only has to outlive it.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? exitCodeOf(signal)))
  })
}

function exitCodeOf(signal) {
  return 128 + ({ SIGINT: 2, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 }[signal] ?? 1)
}
