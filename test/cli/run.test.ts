/** The exit status of a job that ran to its end. */
import { expect, test } from 'vitest';
import { Output } from '../../src/cli/output.ts';
import { runJob } from '../../src/cli/run.ts';
import type { JobResult } from '../../src/job.ts';
import { emptyResult } from '../support/result.ts';

const done: JobResult = { ...emptyResult, command: 'verify', objects: 1, parts: 1 };

test.each<[exit: number, result: Partial<JobResult>]>([
  [0, {}],
  [3, { warnings: ['something'] }],
  [3, { command: 'migrate', failed: 2, failures: { 'checksum-mismatch': 1, 'access-denied': 1 } }],
  [3, { failed: 1, failures: { 'store-unavailable': 1 } }],
  [6, { failed: 2, failures: { 'store-unavailable': 1, 'object-changed': 1 } }],
  [6, { failed: 1, failures: { 'object-not-found': 1 } }],
  [6, { failed: 1, failures: { 'bad-frame': 1 } }],
])('is %i of %j', async (exit, result) => {
  const report = { output: new Output({ quiet: true }), signal: new AbortController().signal, from: 'here' };
  expect(await runJob(report, async () => ({ ...done, ...result }))).toBe(exit);
});
