import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Waits until the pipe to it closes, which the kernel does however its starter ends, and removes what is left. */
const REAPER = 'read -r _; rm -rf -- "$1"'

/**
 * A private directory for sockets. Whoever makes it owns it; it goes when disposed, or when the process ends, by SIGKILL too.
 * The name is short because a Unix socket's path holds 107 bytes.
 */
export class Workspace implements Disposable {
  readonly directory: string
  readonly #reaperInput: Socket

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'rpcool-bench-'))
    // Detached: a Ctrl-C at the terminal must not take the reaper with it.
    const reaper = spawn('sh', ['-c', REAPER, 'reaper', this.directory], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    reaper.unref()
    if (!(reaper.stdin instanceof Socket)) throw new Error('a piped stdin is a socket')
    this.#reaperInput = reaper.stdin
    this.#reaperInput.unref()
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
    this.#reaperInput.destroy()
  }
}
