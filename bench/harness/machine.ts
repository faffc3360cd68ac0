/** Where and when the figures were taken, and how much of the machine others had meanwhile. Without these they say nothing. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';

export interface Machine {
  cpu: string;
  cores: number;
  memoryBytes: number;
  system: string;
  node: string;
  openssl: string;
}

export function thisMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryBytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    openssl: process.versions.openssl ?? '',
  };
}

/** The commit that is checked out, and whether files differ from it. */
export function thisCommit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const isChanged = git('status', '--porcelain', '--untracked-files=no') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${isChanged ? ', with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}

export interface Noise {
  /** Of all cores' time, what the hypervisor gave to others; null where the system does not say. */
  stealShare: number | null;
  /** Processes that ran or waited, over the last minute. */
  load: number;
}

/** Begins to listen. What it returns says how noisy it has been since. */
export function listen(): () => Noise {
  const before = ticks();
  return () => {
    const now = ticks();
    const [load = 0] = loadavg();
    if (!before || !now) return { stealShare: null, load };
    return { stealShare: (now.steal - before.steal) / Math.max(1, now.all - before.all), load };
  };
}

/** The kernel's counts of what all cores have done: user, nice, system, idle, iowait, irq, softirq, steal (proc(5)). */
function ticks(): { all: number; steal: number } | undefined {
  if (!existsSync('/proc/stat')) return undefined;
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const counts = line.split(/\s+/).slice(1, 9).map(Number);
  return { all: counts.reduce((sum, count) => sum + count, 0), steal: counts[7]! };
}
