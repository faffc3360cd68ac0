/** Child processes for tests: the command line as people run it, and the sandbox in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '../..');
const bin = join(root, 'src/cli/bin.ts');
const recorder = join(root, 'test/support/recorder.ts');

export type Line = Record<string, unknown> & { type: string };

export interface Outcome {
  exit: number | null;
  signal: NodeJS.Signals | null;
  /** JSON lines of stdout, where there were any. */
  lines: Line[];
  stdout: string;
  stderr: string;
  /** The last line, if it is a result or an error. */
  last: Line | undefined;
}

export interface Running {
  child: ChildProcess;
  /** Resolves once a JSON line satisfies `test`; rejects where the process ends before. */
  until(test: (line: Line) => boolean): Promise<Line>;
  ended: Promise<Outcome>;
}

export interface RunOptions {
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** Folder for the recorder's notes: loads it into the process and its threads. */
  records?: string;
  /** A program before node, such as strace with its flags. */
  under?: string[];
}

/** Starts `sealift ARGS`. */
export function start(args: string[], { env = {}, cwd, records, under = [] }: RunOptions = {}): Running {
  const preload = records === undefined ? [] : ['--import', recorder];
  const command = [...under, process.execPath, ...preload, bin, ...args];
  const child = spawn(command[0]!, command.slice(1), {
    cwd,
    env: { ...process.env, NO_COLOR: '1', ...env, ...(records === undefined ? {} : { SEALIFT_TEST_RECORDS: records }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: Line[] = [];
  const waiting = new Set<(line: Line) => void>();
  let stdout = '';
  let stderr = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const reader = createInterface({ input: child.stdout! });
  reader.on('line', (text) => {
    stdout += `${text}\n`;
    const line = lineOf(text);
    if (!line) return;
    lines.push(line);
    for (const wake of waiting) wake(line);
  });
  const ended = (async (): Promise<Outcome> => {
    const read = once(reader, 'close');
    const [exit, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    await read;
    return { exit, signal, lines, stdout, stderr, last: lastOf(lines) };
  })();

  return {
    child,
    ended,
    until: (test) =>
      new Promise((resolve, reject) => {
        const wake = (line: Line) => {
          if (!test(line)) return;
          waiting.delete(wake);
          resolve(line);
        };
        waiting.add(wake);
        for (const line of lines) if (waiting.has(wake)) wake(line);
        ended.then(({ exit, stderr }) => reject(new Error(`ended with ${exit} first: ${stderr}`)), reject);
      }),
  };
}

/** A line for machines, if it is one. */
export function lineOf(text: string): Line | undefined {
  return text.startsWith('{"type"') ? JSON.parse(text) : undefined;
}

export function lastOf(lines: Line[]): Line | undefined {
  return lines.findLast(({ type }) => type === 'result' || type === 'error');
}

/** Runs `sealift ARGS` to its end. `runHere` of here.ts does so without a process. */
export function run(args: string[], options: RunOptions = {}): Promise<Outcome> {
  return start(args, options).ended;
}

export interface LogEntry {
  time: number;
  service: 's3' | 'kms';
  requestId: string;
  operation: string;
  key?: string;
  partNumber?: number;
  bytesIn: number;
  bytesOut: number;
  kmsCalls: number;
  status: number;
  ms: number;
}

export interface SandboxProcess {
  env: Record<string, string>;
  kmsKeyId: string;
  /** Requests so far, as the sandbox logged them. */
  log(): LogEntry[];
  stop(): Promise<void>;
}

/** Starts `sealift sandbox ARGS` and waits until it serves. `logFile` receives its request log. */
export async function startSandboxProcess(args: string[], logFile: string): Promise<SandboxProcess> {
  const running = start(['sandbox', '--json', '--log', logFile, ...args]);
  const ready = await running.until(({ type }) => type === 'ready');
  return {
    env: ready.env as Record<string, string>,
    kmsKeyId: ready.kmsKeyId as string,
    log: () => (existsSync(logFile) ? parseLog(readFileSync(logFile, 'utf8')) : []),
    async stop() {
      running.child.kill('SIGTERM');
      await running.ended;
    },
  };
}

function parseLog(text: string): LogEntry[] {
  return text
    .split('\n')
    .filter((line) => line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogEntry);
}
