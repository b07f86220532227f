import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A private directory for sockets. Whoever makes it owns it; it goes when disposed, or with the process.
 * The name is short because a Unix socket's path holds 107 bytes.
 */
export class Workspace implements Disposable {
  readonly directory: string;
  readonly #remove = (): void => {
    rmSync(this.directory, { recursive: true, force: true });
  };

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'rpcool-bench-'));
    process.once('exit', this.#remove);
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#remove);
    this.#remove();
  }
}
