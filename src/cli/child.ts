/** Sealift as a process of its own, for the demo: what is shown there is what a person would see. */
import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** TypeScript in a checkout, JavaScript in the package. */
const BIN = fileURLToPath(new URL(`./bin${extname(import.meta.filename)}`, import.meta.url));

export type Line = Readonly<Record<string, unknown>>;

export interface ChildOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Ends the process. */
  signal: AbortSignal;
  /** Hears each JSON line of a command with `--json`. */
  onLine?: ((line: Line, child: ChildProcess) => void) | undefined;
}

export interface Ending {
  /** Undefined where a signal ended it. */
  exit: number | undefined;
  lines: Line[];
  stdout: Buffer;
  /** What a person saw, without the last line break. */
  stderr: string;
}

/** Runs a command to its end, however it ends. */
export async function runSealift(args: readonly string[], options: ChildOptions): Promise<Ending> {
  const { cwd, env, signal, onLine } = options;
  const child = spawn(process.execPath, [BIN, ...args], { cwd, env, signal, stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const lines: Line[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  if (args.includes('--json')) {
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Line;
      lines.push(line);
      onLine?.(line, child);
    });
  }
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  child.once('close', (code) => resolve(code ?? undefined));
  // An aborted child is still there until it closes.
  child.on('error', (error) => {
    if (error.name !== 'AbortError') reject(error);
  });
  const exit = await promise;
  return { exit, lines, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString().trimEnd() };
}
