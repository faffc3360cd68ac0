import { expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../src/sandbox/server.ts';
import { runContract, runs } from './contract.ts';

const noBoto3 = !runs('python3', '-c', 'import boto3');

it.skipIf(noBoto3).each([{ https: false }, { https: true }])(
  'every row of the contract holds, asked by boto3 (skipped without boto3), https: $https',
  async (options) => {
    const sandbox = await startSandbox(options);
    onTestFinished(() => sandbox.close());
    const rows = await runContract(sandbox.env);
    expect(rows.length).toBeGreaterThan(50);
    for (const { row, expected, got } of rows) expect({ row, got }).toEqual({ row, got: expected });
  },
);
