/** Runs the fuzzer as a process, and ends it where it hangs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { FuzzReport } from '../formats/fuzz.ts';
import type { Coverage } from './coverage.ts';

export interface FuzzOutcome {
  /** Undefined where it ended with an error. */
  report: (FuzzReport & { coverage: Coverage; peakRssBytes: number }) | undefined;
  /** Empty where nothing was found. */
  error: string;
}

export interface FuzzRun {
  seed: number;
  count: number;
  /** A process that says nothing for so long hangs: between two lines it reads a thousand messages, in about a second. */
  silenceMs: number;
}

/** Runs the fuzzer of a checkout. */
export async function runFuzzer(root: string, { seed, count, silenceMs }: FuzzRun): Promise<FuzzOutcome> {
  const program = join(root, 'test/formats/fuzz-program.ts');
  const child = spawn(process.execPath, [program, String(count), String(seed)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const stderr = text(child.stderr);
  const exited = once(child, 'exit');
  let last = '';
  const timer = setTimeout(() => child.kill('SIGKILL'), silenceMs);
  for await (const line of createInterface({ input: child.stdout })) {
    last = line;
    timer.refresh();
  }
  const [exit, signal] = await exited;
  clearTimeout(timer);
  if (exit === 0) return { report: JSON.parse(last), error: '' };
  return { report: undefined, error: signal ? `hangs behind ${last}` : await stderr };
}
