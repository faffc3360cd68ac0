/**
 * Where whole processes are measured: a sandbox that serves HTTPS from a process of its own, so that what it costs is
 * not theirs, a file of random bytes in the page cache, and a count of the connections that stand at a time.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GiB, MiB } from '../../src/units.ts';
import { type SandboxProcess, startSandboxProcess } from '../../test/support/cli.ts';
import { sha256Of, writeRandomFile } from '../../test/support/files.ts';
import { type Cost, type MeasureOptions, measure } from '../../test/support/measure.ts';
import type { Sample } from '../harness/case.ts';
import { once } from '../harness/once.ts';
import { BUCKET } from './programs.ts';

const LOOK_MS = 20;

export interface StageOptions {
  /** In which all its files are. */
  folder: string;
  name: string;
  /** Drops the bytes it is sent, so that no disk slows anybody down; nothing can be got back then. */
  discard: boolean;
}

/** Costs nothing before something is asked of it. */
export class Stage implements AsyncDisposable {
  readonly folder: string;
  readonly #sandbox: () => Promise<SandboxProcess>;
  #isOpen = false;

  constructor({ folder, name, discard }: StageOptions) {
    this.folder = folder;
    this.#sandbox = once(() => {
      this.#isOpen = true;
      const kind = discard ? ['--discard'] : ['--dir', join(folder, `${name}-sandbox`)];
      return startSandboxProcess(['--https', '--bucket', BUCKET, ...kind], join(folder, `${name}.log`));
    });
  }

  get sandbox(): Promise<SandboxProcess> {
    return this.#sandbox();
  }

  /** Runs a command to its end. Rejects where it fails. */
  async run(
    command: string[],
    { env = (sandbox) => sandbox, ...options }: Omit<MeasureOptions, 'env'> & EnvOption = {},
  ): Promise<Cost & { connections: number }> {
    const sandbox = await this.sandbox;
    using connections = new Connections(portOf(sandbox));
    const cost = await measure(command, { ...options, env: env(sandbox.env) });
    if (cost.exit !== 0) throw new Error(`${command.join(' ')} ended with ${cost.exit}: ${cost.stderr}`);
    return { ...cost, connections: connections.most };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOpen) await (await this.sandbox).stop();
  }
}

interface EnvOption {
  env?: (sandbox: Readonly<Record<string, string>>) => Record<string, string | undefined>;
}

/** Of a command that moved so many bytes. */
export function movedSample(cost: Cost & { connections: number }, bytes: number): Sample {
  const perGiB = (seconds: number) => (seconds * GiB) / bytes;
  return {
    cpu: perGiB(cost.cpuSeconds),
    user: perGiB(cost.userSeconds),
    system: perGiB(cost.systemSeconds),
    wall: perGiB(cost.seconds),
    peak: cost.peakRssBytes / MiB,
    connections: cost.connections,
  };
}

/** A file of random bytes (the kernel zeroes pages for a sparse one, at a cost of its own), read once. */
export async function writeSource(path: string, size: number): Promise<string> {
  writeRandomFile(path, size);
  await sha256Of(path);
  return path;
}

/** Connections to a port of this machine that stand at the same time, at most. Those shorter than a look are missed. */
class Connections implements Disposable {
  most = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(port: number) {
    // Of the kernel's list (proc_net_tcp(5)): the sandbox's end, established.
    const line = new RegExp(`^ *\\d+: [0-9A-F]{8}:${port.toString(16).toUpperCase().padStart(4, '0')} \\S+ 01 `, 'gm');
    this.#timer = setInterval(() => {
      const count = readFileSync('/proc/net/tcp', 'latin1').match(line)?.length ?? 0;
      this.most = Math.max(this.most, count);
    }, LOOK_MS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function portOf({ env }: SandboxProcess): number {
  return Number(new URL(env.AWS_ENDPOINT_URL_S3!).port);
}
