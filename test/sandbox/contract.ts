/** Runs contract.py against an endpoint, where there is a Python with boto3. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface ContractRow {
  row: string;
  expected: unknown;
  got: unknown;
}

/** Whether a program runs to its end, as `PROGRAM ARGS` would for its version. */
export function runs(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

export async function runContract(env: Readonly<Record<string, string>>): Promise<ContractRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-contract-'));
  try {
    const script = join(import.meta.dirname, 'contract.py');
    const { stdout } = await promisify(execFile)('python3', [script], {
      env: { ...process.env, ...env, SSL_CERT_FILE: env.AWS_CA_BUNDLE, CONTRACT_FOLDER: folder },
      maxBuffer: 10_000_000,
    });
    return JSON.parse(stdout) as ContractRow[];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
