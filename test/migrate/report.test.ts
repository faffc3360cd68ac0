/** Reports of a migration: every object in each of the formats, and where they go. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kmsKeyring } from '../../src/engine/keys.ts';
import type { JobResult } from '../../src/job.ts';
import { BulkLedger } from '../../src/ledger/bulk.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import type { ReportRow } from '../../src/migrate/report-row.ts';
import { BUCKET, openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
let job: string;
let result: JobResult;
const target = `s3://${BUCKET}/told/`;
const odd = ['=1+2', '-9', '+a b%', '@x', 'q"u,o\nte', 'sub/ü'];
const large = Buffer.alloc(PART_SIZE + 1, 'large');

beforeAll(async () => {
  stage = await openStage();
  const source = join(stage.folder, 'told');
  for (const name of odd) {
    mkdirSync(dirname(join(source, name)), { recursive: true });
    writeFileSync(join(source, name), name);
  }
  writeFileSync(join(source, 'large'), large);
  writeFileSync(join(source, 'denied'), '');
  symlinkSync('large', join(source, 'link'));
  stage.sandbox.setFaults('PutObject(key=told/denied):*=AccessDenied');
  const report = { to: join(stage.folder, 'at-the-end.jsonl') };
  result = await stage.shared.migrate({ source, target, partSize: PART_SIZE, report });
  stage.sandbox.setFaults('');
  job = result.job;
});

afterAll(() => stage.close());

type Row = ReportRow & { type: string };
const path = (name: string) => join(stage.folder, name);
const read = (name: string) => readFileSync(path(name), 'utf8');
const textAt = async (key: string) => (await stage.stored({ key } as Plot)).toString();

test('JSON lines tell of each object what S3 knows of it, and of all of them last', async () => {
  const lines = read('at-the-end.jsonl')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Row);
  const rows = new Map(lines.slice(0, -1).map((row) => [row.name, row]));
  expect([...rows.keys()].sort()).toEqual([...odd, 'denied', 'large', 'link'].sort());
  for (const name of [...odd, 'large']) {
    const head = await stage.s3.send(
      new HeadObjectCommand({ Bucket: BUCKET, Key: `told/${name}`, ChecksumMode: 'ENABLED' }),
    );
    expect(rows.get(name)).toMatchObject({
      type: 'object',
      state: 'done',
      object: target + name,
      plainBytes: name === 'large' ? large.length : Buffer.byteLength(name),
      sealedBytes: head.ContentLength,
      crc32: head.ChecksumCRC32,
      crc32Confirmed: true,
      format: 'esdk',
      etag: head.ETag,
      sealiftId: head.Metadata!['sealift-id'],
      messageId: expect.stringMatching(/^[0-9a-f]{64}$/),
      attempts: 1,
      code: null,
    });
  }
  expect(rows.get('denied')).toMatchObject({ state: 'failed', code: 'access-denied', attempts: 1, sealedBytes: null });
  expect(rows.get('link')).toMatchObject({ state: 'failed', code: 'source-not-a-file', attempts: 0 });
  const summary = { job, objects: { done: 7, failed: 2 }, missing: 2, unconfirmed: 0, listing: false, state: 'done' };
  expect(lines.at(-1)).toMatchObject({ type: 'summary', failures: { 'access-denied': 1 }, ...summary });
  expect(result).toMatchObject({ objects: 7, warnings: [], report: { ...summary, report: path('at-the-end.jsonl') } });
  expect(statSync(path('at-the-end.jsonl')).mode & 0o777).toBe(0o600);
});

test('CSV is what its name asks for, in place of an older one, and no cell of it is a formula', async () => {
  writeFileSync(path('report.csv'), 'an older one');
  await stage.shared.report({ job, to: path('report.csv') });
  await stage.shared.report({ job, to: path('plain'), format: 'jsonl' });
  const rows = parse(read('report.csv'), { columns: true, record_delimiter: '\r\n' }) as Record<string, string>[];
  for (const cell of rows.flatMap((row) => Object.values(row))) expect(cell).not.toMatch(/^[=+\-@\t\r]/);
  // Without the apostrophes it is what the JSON lines say.
  const expected = read('plain')
    .split('\n')
    .slice(0, -2)
    .map((line) => {
      const { type, ...row } = JSON.parse(line) as Row;
      return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value ?? '')]));
    });
  const bare = rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, cell.replace(/^'(?=[=+\-@])/, '')])),
  );
  expect(bare).toEqual(expected);
});

test('under KMS it names the key, and the call that each data key came from', async () => {
  const target = `s3://${BUCKET}/kms/`;
  const keyring = kmsKeyring({ keyIds: ['alias/sandbox'] });
  await using engine = stage.engine({ stateDir: join(stage.folder, 'state') }, { keyring });
  const calls: (string | undefined)[] = [];
  for (const name of ['sub', 'told']) {
    const request = { source: path('told'), target: `${target}${name}/`, partSize: PART_SIZE };
    const { job, kmsRequestIds } = await engine.migrate({ ...request, filter: { include: ['/sub/**', '/large'] } });
    await engine.report({ job, to: path('kms.jsonl') });
    const rows = read('kms.jsonl')
      .split('\n', 2)
      .map((line) => JSON.parse(line) as Row);
    expect(rows.map((row) => row.name).sort()).toEqual(['large', 'sub/ü']);
    for (const row of rows) expect(row.kmsKey).toMatch(/^arn:aws:kms:.*:key\//);
    calls.push(...kmsRequestIds, ...rows.map((row) => row.kmsRequestId ?? undefined));
  }
  // One call for all of it: whoever shares its key names it too.
  expect(calls).toHaveLength(5);
  expect(new Set(calls).size).toBe(1);
  expect(calls[0]).toMatch(/^SANDBOX/);
});

/** As strict as a reader of AWS's layout may be. Keys come decoded, by what became of them. */
async function readBatch(manifest: string, fetch: (bucket: string, key: string) => string | Promise<string>) {
  const { Format, ReportCreationDate, Results, ReportSchema, ...others } = JSON.parse(manifest);
  expect(others).toEqual({});
  expect(Format).toBe('Report_CSV_20180820');
  expect(new Date(ReportCreationDate).toISOString()).toBe(ReportCreationDate);
  expect(ReportSchema).toBe('Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode, ResultMessage');
  const keys: Record<string, string[]> = {};
  const codes: string[] = [];
  for (const { TaskExecutionStatus, Bucket, MD5Checksum, Key } of Results) {
    const text = await fetch(Bucket, Key);
    expect(createHash('md5').update(text).digest('hex')).toBe(MD5Checksum);
    for (const row of parse(text) as string[][]) {
      expect(row).toHaveLength(7);
      const [bucket, key, , status, code, http] = row as [string, string, string, string, string, string, string];
      expect([bucket, status]).toEqual([BUCKET, TaskExecutionStatus]);
      expect(key).toMatch(/^(?:[\w.!~*'()/-]|%[0-9A-F]{2})+$/);
      expect(http).toBe(status === 'succeeded' ? '200' : '');
      if (code !== '') codes.push(code);
      keys[status] = [...(keys[status] ?? []), decodeURIComponent(key)];
    }
  }
  return { keys, codes };
}

describe("S3 Batch Operations' layout", () => {
  const format = 's3-batch-operations';

  test('is read by a strict reader of it, in a folder and in S3', async () => {
    const told = {
      keys: { succeeded: [...odd, 'large'], failed: ['denied', 'link'] },
      codes: ['access-denied', 'source-not-a-file'],
    };
    const inOrder = ({ keys, codes }: Awaited<ReturnType<typeof readBatch>>) => ({
      keys: { succeeded: keys.succeeded!.map(unprefixed).sort(), failed: keys.failed!.map(unprefixed).sort() },
      codes: codes.sort(),
    });
    const unprefixed = (key: string) => key.replace(/^told\//, '');
    told.keys.succeeded.sort();
    const { report } = await stage.shared.report({ job, to: path('batch'), format });
    expect(report).toBe(join(path('batch'), 'manifest.json'));
    const onDisk = await readBatch(read('batch/manifest.json'), (_, key) => readFileSync(key, 'utf8'));
    expect(inOrder(onDisk)).toEqual(told);

    await stage.shared.report({ job, to: `s3://${BUCKET}/reports/batch`, format });
    const inS3 = await readBatch(await textAt('reports/batch/manifest.json'), (_, key) => textAt(key));
    expect(inOrder(inS3)).toEqual(told);
  });

  test('is refused where objects are in no bucket, before any is moved', async () => {
    const disk = { source: path('told'), target: `file://${path('disk')}/` };
    const report = { to: path('never'), format } as const;
    await expect(stage.shared.migrate({ ...disk, report })).rejects.toMatchObject({ code: 'bad-option', exit: 2 });
    expect(readdirSync(stage.folder)).not.toContain('disk');
    expect(() => stage.shared.job(jobIdOf({ command: 'migrate', ...disk }))).toThrow(/no job/);
  });
});

test('what cannot be written is told before an object is moved, or leaves what was there', async () => {
  const other = { source: path('told'), target: `s3://${BUCKET}/other/` };
  const refused = (to: string) => stage.shared.migrate({ ...other, report: { to } });
  await expect(refused(path('no/such/folder.csv'))).rejects.toMatchObject({ code: 'target-unwritable' });
  await expect(refused(stage.folder)).rejects.toMatchObject({ code: 'target-unwritable' });
  await expect(refused('s3://nobody/report.csv')).rejects.toMatchObject({ code: 'bucket-not-found' });
  expect(() => stage.shared.job(jobIdOf({ command: 'migrate', ...other }))).toThrow(/no job/);

  const { job: put } = (await stage.put(stage.plot('one', 10))).result;
  await expect(stage.shared.report({ job: put, to: path('put') })).rejects.toMatchObject({ code: 'usage' });
  stage.sandbox.setFaults('PutObject(key=reports/end):*=AccessDenied');
  const { warnings } = await stage.shared.migrate({
    source: join(path('told'), 'sub'),
    target: `s3://${BUCKET}/sub/`,
    report: { to: `s3://${BUCKET}/reports/end` },
  });
  stage.sandbox.setFaults('');
  expect(warnings).toEqual([expect.stringContaining('The report was not written (access-denied)')]);
});

test('a report of many parts goes up as it is read, or is not there at all', async () => {
  const many = { command: 'migrate', source: '/many', target: `s3://${BUCKET}/many/` } as const;
  {
    using ledger = BulkLedger.create(join(stage.folder, 'state'), { ...many, options: {} }, '');
    const name = 'n'.repeat(900);
    const objects = Array.from({ length: 4500 }, (_, index) => ({ name: `${name}${index}`, size: 1 }));
    ledger.addPage({
      section: '',
      objects: objects.map((object) => ({ ...object, isLarge: false, source: {} })),
      sections: [],
      cursor: 'here',
    });
  }
  const id = jobIdOf(many);
  const to = `s3://${BUCKET}/reports/many.jsonl`;
  stage.sandbox.setFaults('UploadPart(key=reports/many.jsonl,part=2):*=500');
  await expect(stage.shared.report({ job: id, to })).rejects.toMatchObject({ code: 'store-unavailable' });
  stage.sandbox.setFaults('');
  expect(await stage.uploadIds({ key: 'reports/many.jsonl' } as Plot)).toEqual([]);
  await expect(textAt('reports/many.jsonl')).rejects.toThrow();

  await stage.shared.report({ job: id, to });
  const lines = (await textAt('reports/many.jsonl')).split('\n');
  expect(lines).toHaveLength(4502);
  expect(JSON.parse(lines[4499]!)).toMatchObject({ state: 'pending', name: expect.stringMatching(/4499$/) });
  expect(JSON.parse(lines[4500]!)).toMatchObject({ missing: 4500, listing: true, state: 'running' });
  const parts = stage.requests.filter(
    ({ operation, key }) => operation === 'UploadPart' && key === 'reports/many.jsonl',
  );
  expect(parts.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(3);
});
