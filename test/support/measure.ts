/**
 * What a command costs, as the operating system counts it: wall and CPU seconds of the command and everything it
 * started (bash's `time`), and the highest resident size any one of these processes reached (the kernel's VmHWM).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';

export interface Cost {
  exit: number | null;
  seconds: number;
  /** User and system together. */
  cpuSeconds: number;
  userSeconds: number;
  systemSeconds: number;
  peakRssBytes: number;
  stdout: string;
  stderr: string;
}

export interface MeasureOptions {
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** Where the command's standard output goes instead of into the answer: `> /dev/null`, `| sha256sum`. */
  into?: string;
}

/** The peak is looked up this often, and only ever grows: what the last moments add is missed. */
const LOOK_MS = 20;

/** Runs a command to its end. */
export async function measure(command: string[], { env = {}, cwd, into = '' }: MeasureOptions = {}): Promise<Cost> {
  // The shell stands between for a second reason: a process inherits its parent's peak in its own resource usage.
  const script = `TIMEFORMAT='%R %U %S'; exec 3>&2; { time "$@" 2>&3 ${into}; } 2>&4`;
  const child = spawn('bash', ['-o', 'pipefail', '-c', script, 'bash', ...command], {
    cwd,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ignore', 'pipe'],
  });
  let peakRssBytes = 0;
  const timer = setInterval(() => {
    for (const pid of descendantsOf(child.pid!)) peakRssBytes = Math.max(peakRssBytes, peakOf(pid));
  }, LOOK_MS);
  const [stdout, stderr, times, [exit]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    text(child.stdio[4] as NodeJS.ReadableStream),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  clearInterval(timer);
  const [seconds = Number.NaN, user = Number.NaN, system = Number.NaN] = times.trim().split(' ').map(Number);
  return {
    exit,
    seconds,
    cpuSeconds: user + system,
    userSeconds: user,
    systemSeconds: system,
    peakRssBytes,
    stdout,
    stderr,
  };
}

function descendantsOf(pid: number): number[] {
  const children = readOr('', `/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

function peakOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readOr('', `/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

/** A process may end while it is looked at. */
function readOr(fallback: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return fallback;
  }
}
