/** A folder with one source file, and a sandbox that AWS's variables point at: for tests that make their own engines. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { writeRandomFile } from './files.ts';

export interface Scratch {
  folder: string;
  /** Path of a file of random bytes. */
  source: string;
  /** Has the bucket `bucket`, or those that were asked for. */
  sandbox: Sandbox;
  close(): Promise<void>;
}

export async function openScratch({
  sourceSize,
  buckets = ['bucket'],
}: {
  sourceSize: number;
  buckets?: string[];
}): Promise<Scratch> {
  const folder = await mkdtemp(join(tmpdir(), 'sealift-test-'));
  const source = join(folder, 'file');
  writeRandomFile(source, sourceSize);
  const sandbox = await startSandbox({ buckets });
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  return {
    folder,
    source,
    sandbox,
    async close() {
      await sandbox.close();
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true });
    },
  };
}
