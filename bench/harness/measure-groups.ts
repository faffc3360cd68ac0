/** One group after the other, in a folder that is removed with them, also where somebody stops it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Group, Setting } from './case.ts';
import { listen } from './machine.ts';
import type { MeasuredGroup } from './record.ts';
import { runRounds } from './rounds.ts';

export interface MeasureOptions extends Omit<Setting, 'folder'> {
  rounds: number;
  /** Of names, `put/sealift`. Default: of every group but the seldom ones, all. */
  only?: RegExp | undefined;
}

/** Groups of which something is wanted, as soon as each is measured. Says on stderr what runs. */
export async function* measureGroups(
  groups: readonly ((setting: Setting) => Group)[],
  { rounds, only, ...setting }: MeasureOptions,
): AsyncGenerator<MeasuredGroup, void> {
  const onRun = (what: string) => process.stderr.write(`${what}\n`);
  using folder = new TemporaryFolder();
  for (const groupOf of groups) {
    const group = groupOf({ ...setting, folder: folder.path });
    const isWanted = (name: string) => (only ? only.test(name) : !group.isSeldom);
    try {
      const noise = listen();
      const cases = await runRounds(group, isWanted, { count: rounds, onRun });
      if (cases.length > 0) yield { name: group.name, about: group.about, noise: noise(), cases };
    } finally {
      await group.close?.();
    }
  }
}

class TemporaryFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'sealift-bench-'));

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, this.#leave);
  }

  readonly #leave = (): void => {
    this[Symbol.dispose]();
    process.exit(130);
  };

  [Symbol.dispose](): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, this.#leave);
    // Whoever was stopped with us may still be writing.
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}
