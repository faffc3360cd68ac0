/** One command under its `--max-memory`: its peak must stay within, and what it took is printed. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { formatSize, GiB, MiB } from '../../src/units.ts';
import { type Cost, measure } from './measure.ts';

const bin = join(import.meta.dirname, '../../src/cli/bin.ts');

/** What the command line takes where nobody says otherwise. */
export const DEFAULT_CAP = 512 * MiB;

export interface Act {
  args: string[];
  /** Plain bytes that go through it. */
  size: number;
  cap: number;
  env: Readonly<Record<string, string>>;
  /** Where its standard output goes, as in `measure`. */
  into?: string;
}

/** Without the compile cache, which is the worst case. */
export async function within({ args, size, cap, env, into = '' }: Act): Promise<Cost> {
  const flags = cap === DEFAULT_CAP ? [] : ['--max-memory', String(cap)];
  const cost = await measure([process.execPath, bin, ...args, ...flags], {
    env: { ...env, NODE_DISABLE_COMPILE_CACHE: '1' },
    into,
  });
  expect(cost.exit, cost.stderr).toBe(0);
  const what = `${args[0]} of ${formatSize(size)}${args[2] === '-' ? ' to a pipe' : args[1] === '-' ? ' from a pipe' : ''}`;
  const cpuSeconds = (cost.cpuSeconds / (size / GiB)).toFixed(2);
  const peak = `peak ${formatSize(cost.peakRssBytes)} of ${formatSize(cap)}`;
  console.log(`${what}: ${peak}, ${cost.seconds.toFixed(1)} s, ${cpuSeconds} CPU s/GiB`);
  expect(cost.peakRssBytes).toBeLessThanOrEqual(cap);
  return cost;
}
