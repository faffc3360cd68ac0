/** What a Prometheus and a log hear of a job: counts and facts, and nothing secret. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { loopback } from '../../src/cli/flag-values.ts';
import { memoOf } from '../../src/cli/options.ts';
import { Output } from '../../src/cli/output.ts';
import { runJob } from '../../src/cli/run.ts';
import { SealiftError } from '../../src/errors.ts';
import type { JobEvent } from '../../src/job.ts';
import { MiB } from '../../src/units.ts';
import { emptyResult } from '../support/result.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const objects = { listed: 9, done: 4, failed: 2, skipped: 1, listing: false };
const events: JobEvent[] = [
  { type: 'start', job: 'migrate-a', command: 'migrate', object: 's3://b/p/', resumed: false, totalBytes: 9 * MiB },
  { type: 'retry', call: 'PutObject', reason: 'SlowDown', throttled: true },
  { type: 'retry', call: 'PutObject', reason: 'socket hang up', throttled: false },
  { type: 'object', name: 'a\u202eb', size: 5, outcome: 'failed', code: 'access-denied', message: 'No' },
  { type: 'object', name: 'b', size: 5, outcome: 'failed', code: 'access-denied', message: 'No' },
  { type: 'object', name: 'c', size: 6, outcome: 'done' },
  { type: 'warning', message: 'Something' },
  {
    type: 'progress',
    ackedBytes: 4 * MiB,
    totalBytes: 9 * MiB,
    reusedBytes: MiB,
    kmsCalls: 3,
    seconds: 1,
    objects,
  },
];
const failures = { 'access-denied': 2 };
const result = { job: 'migrate-a', command: 'migrate', objects: 4, failed: 2, skipped: 1, failures } as const;
const report = { output: new Output({ quiet: true }), signal: new AbortController().signal, from: 'a', to: 'b' };
vi.spyOn(report.output, 'warn').mockReturnValue();

/** What is answered at the address that a job says it is served at. */
async function scrape(say: { mock: { calls: unknown[][] } }, path = '/metrics') {
  const url = /http:\S+/.exec(String(say.mock.calls[0]))![0];
  return await fetch(new URL(path, url));
}

test('while a job runs its counts are served on this machine, and when it has ended no more', async () => {
  const output = new Output({ quiet: true });
  const say = vi.spyOn(output, 'say');
  vi.spyOn(output, 'warn').mockReturnValue();
  const watch = { metrics: { host: '127.0.0.1', port: 0 } };
  let text = '';
  await runJob({ ...report, output, watch }, async ({ onEvent }) => {
    expect(await (await scrape(say)).text()).not.toContain('sealift_lanes 0');
    for (const event of [...events, { type: 'lanes', from: 2, to: 4, reason: 'throughput' } as const]) onEvent!(event);
    expect((await scrape(say, '/')).status).toBe(404);
    text = await (await scrape(say)).text();
    return { ...emptyResult, ...result };
  });
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(samples.sort()).toEqual([
    'sealift_acked_bytes 4194304',
    'sealift_failures_total{code="access-denied"} 2',
    'sealift_kms_calls_total 3',
    'sealift_lanes 4',
    'sealift_objects{state="done"} 4',
    'sealift_objects{state="failed"} 2',
    'sealift_objects{state="skipped"} 1',
    'sealift_objects{state="waiting"} 2',
    'sealift_retries_total 2',
    'sealift_reused_bytes 1048576',
    'sealift_throttles_total 1',
    'sealift_total_bytes 9437184',
  ]);
  await expect(scrape(say)).rejects.toThrow();
});

test('metrics are for this machine alone', () => {
  expect(loopback('127.0.0.1:9400', '--metrics')).toEqual({ host: '127.0.0.1', port: 9400 });
  expect(loopback('[::1]:0', '--metrics')).toEqual({ host: '::1', port: 0 });
  for (const text of ['0.0.0.0:9400', 'localhost:9400', '10.0.0.1:9400', '127.0.0.1', '127.0.0.1:65536', ':9400']) {
    expect(() => loopback(text, '--metrics'), text).toThrow(/--metrics: .* is not a loopback address/);
  }
});

test('a port that is taken is told before the job begins', async () => {
  const output = new Output({ quiet: true });
  const say = vi.spyOn(output, 'say');
  await runJob({ ...report, output, watch: { metrics: { host: '127.0.0.1', port: 0 } } }, async () => {
    const port = Number(/:(\d+)\//.exec(String(say.mock.calls[0]))![1]);
    const job = vi.fn();
    const second = runJob({ ...report, watch: { metrics: { host: '127.0.0.1', port } } }, job);
    await expect(second).rejects.toMatchObject({ code: 'bad-option' });
    expect(job).not.toHaveBeenCalled();
    return { ...emptyResult, ...result };
  });
});

const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('a log has a line for each event that matters, and nobody else can read it', async () => {
  const logJson = join(folder, 'job.log');
  writeFileSync(logJson, '{"older":true}\n', { mode: 0o644 });
  await runJob({ ...report, watch: { logJson } }, async ({ onEvent }) => {
    for (const event of events) onEvent!(event);
    return { ...emptyResult, ...result };
  });
  expect(statSync(logJson).mode & 0o777).toBe(0o600);
  const lines = linesOf(logJson);
  expect(lines.map(({ event, level }) => `${event} ${level}`)).toEqual([
    'undefined undefined',
    'start info',
    'retry info',
    'retry info',
    'object warn',
    'object warn',
    'object info',
    'warning warn',
    'result info',
  ]);
  expect(lines[4]).toMatchObject({ name: 'a\u202eb', outcome: 'failed', code: 'access-denied', message: 'No' });
  expect(readFileSync(logJson, 'utf8')).not.toContain('\u202e');
  expect(lines.at(-1)).toMatchObject(result);
  expect(Date.parse(String(lines[1]!.time))).toBeGreaterThan(0);
});

test('what a field may come to hold one day is in no log', async () => {
  const logJson = join(folder, 'secret.log');
  await runJob({ ...report, watch: { logJson } }, async ({ onEvent }) => {
    for (const event of events) onEvent!(Object.assign({ secret: 'a data key' }, event));
    return Object.assign({ secret: 'a data key' }, emptyResult, result);
  });
  expect(linesOf(logJson)).toHaveLength(8);
  expect(readFileSync(logJson, 'utf8')).not.toContain('a data key');
});

test('a migration that ends before its time is logged as a pause, with its reason', async () => {
  const logJson = join(folder, 'pause.log');
  const disabled = new SealiftError('kms-key-disabled', 'The key is disabled', { hint: 'Enable it.' });
  const job = runJob({ ...report, watch: { logJson } }, async ({ onEvent }) => {
    onEvent!(events[0]!);
    throw disabled;
  });
  await expect(job).rejects.toBe(disabled);
  expect(linesOf(logJson).at(-1)).toMatchObject({ level: 'error', event: 'pause', code: 'kms-key-disabled' });
});

test('a log that cannot be is told before the job begins', async () => {
  const job = vi.fn();
  for (const logJson of [folder, join(folder, 'none', 'job.log')]) {
    await expect(runJob({ ...report, watch: { logJson } }, job)).rejects.toMatchObject({ code: 'bad-option' });
  }
  expect(job).not.toHaveBeenCalled();
});

test('a job does not remember who followed it', () => {
  expect(memoOf({ metrics: { host: '::1', port: 1 }, logJson: 'a', lanes: 2 })).toEqual({ flags: { lanes: 2 } });
});
