/** What `migrate --dry-run` tells is what the migration then does; and telling it touches nothing. */
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Output } from '../../src/cli/output.ts';
import { tellDecisions } from '../../src/cli/preview.ts';
import type { Decision, MigrateRequest } from '../../src/index.ts';
import { BUCKET, openStage, PART_SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

const LARGE = Buffer.alloc(PART_SIZE + 17, 'large');

function write(folder: string, files: Record<string, string | Buffer>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

const put = (Key: string, Body: string) => stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));

type Asked = Pick<MigrateRequest, 'source' | 'target'> & Partial<MigrateRequest>;

async function preview(request: Asked, engine = stage.shared): Promise<Decision[]> {
  const decisions: Decision[] = [];
  for await (const decision of engine.preview({ partSize: PART_SIZE, ...request })) decisions.push(decision);
  return decisions;
}

/** By name. */
const told = (decisions: Decision[]) =>
  Object.fromEntries(decisions.map(({ name, would, code }) => [name, code ?? would]));

/** What was told, once the migration has done just that. */
async function provenPreview(request: Asked): Promise<Record<string, string>> {
  const decisions = told(await preview(request));
  const outcomes: Record<string, string> = {};
  await stage.shared.migrate({
    partSize: PART_SIZE,
    ...request,
    onEvent(event) {
      if (event.type === 'object') outcomes[event.name] = event.code ?? event.outcome;
    },
  });
  const expected = Object.entries(decisions).map(([name, what]) => [name, OUTCOMES[what] ?? what]);
  expect(outcomes).toEqual(Object.fromEntries(expected));
  return decisions;
}

const OUTCOMES: Record<string, string> = { seal: 'done', restore: 'done', replace: 'done', skip: 'skipped' };

test('of a directory it tells what would be sealed, skipped, replaced and refused, and so it comes', async () => {
  const source = join(stage.folder, 'tree');
  const target = `s3://${BUCKET}/tree/`;
  write(source, { same: 'one', 'sub/same large': LARGE, 'sub/deep/other': 'two', left: 'out' });
  const filter = { exclude: ['left'] };
  expect(await provenPreview({ source, target, filter })).toEqual({
    same: 'seal',
    'sub/same large': 'seal',
    'sub/deep/other': 'seal',
  });
  await put('tree/sub/deep/other', 'of somebody else');
  write(source, { 'sub/new': 'three' });
  symlinkSync('same', join(source, 'link'));
  const begun = stage.requests.length;
  const { misses } = stage.shared.keyStats();
  const jobs = stage.shared.jobs().length;
  const expected = { same: 'skip', 'sub/same large': 'skip', 'sub/new': 'seal', link: 'source-not-a-file' };
  expect(told(await preview({ source, target, filter, fresh: true }))).toEqual({
    ...expected,
    'sub/deep/other': 'target-exists',
  });
  const operations = new Set(stage.requests.slice(begun).map(({ operation }) => operation));
  expect([...operations].sort()).toEqual(['HeadObject', 'ListObjectsV2']);
  expect(stage.shared.keyStats().misses).toBe(misses);
  expect(stage.shared.jobs()).toHaveLength(jobs);
  expect(await provenPreview({ source, target, filter })).toEqual({ ...expected, 'sub/deep/other': 'target-exists' });
  await put('tree/sub/new', 'of somebody else');
  expect(await provenPreview({ source, target, filter, overwrite: true })).toMatchObject({
    'sub/new': 'replace',
    'sub/deep/other': 'replace',
  });
});

test('of a bucket likewise, whether it is carried into another place or restored', async () => {
  const target = `s3://${BUCKET}/carried/`;
  await Promise.all([put('plain/a', 'one'), put('plain/b//c', 'two'), put('plain/d', 'three')]);
  await stage.shared.migrate({ source: `s3://${BUCKET}/plain/`, target, filter: { include: ['a', 'c'] } });
  const onwards = { source: `s3://${BUCKET}/plain/`, target };
  expect(await provenPreview(onwards)).toEqual({ a: 'skip', 'b//c': 'skip', d: 'seal' });

  const back = join(stage.folder, 'back');
  const restoring = { source: target, target: back };
  expect(told(await preview(restoring))).toEqual({ a: 'restore', 'b//c': 'bad-name', d: 'restore' });
  expect(existsSync(back)).toBe(false);
  write(back, { a: 'of somebody else' });
  const named = { a: 'target-exists', 'b//c': 'bad-name', d: 'restore' };
  expect(await provenPreview(restoring)).toEqual(named);
  expect(await provenPreview({ ...restoring, overwrite: true })).toMatchObject({ a: 'replace' });
});

test('into a directory no folder is made', async () => {
  const source = join(stage.folder, 'onto disk');
  write(source, { 'sub/a': 'one' });
  const disk = join(stage.folder, 'disk');
  expect(told(await preview({ source, target: `${pathToFileURL(disk)}/` }))).toEqual({ 'sub/a': 'seal' });
  expect(existsSync(disk)).toBe(false);
  write(disk, { other: '' });
  expect(told(await preview({ source, target: `${pathToFileURL(disk)}/` }))).toEqual({ 'sub/a': 'seal' });
  expect(readdirSync(disk)).toEqual(['other']);
});

test('a state folder inside the source is left out, and that is said once', async () => {
  const source = join(stage.folder, 'home');
  const target = `s3://${BUCKET}/home/`;
  const stateDir = join(source, '.state/sealift');
  write(source, { a: 'one', '.state/b': 'two' });
  await using engine = stage.engine({ stateDir });
  const decisions = await preview({ source, target }, engine);
  expect(told(decisions)).toEqual({ a: 'seal', '.state/b': 'seal', '.state/sealift/': 'skip' });
  const { objects, failed, warnings } = await engine.migrate({ source, target });
  expect({ objects, failed, warnings }).toEqual({
    objects: 2,
    failed: 0,
    warnings: [expect.stringContaining('.state/sealift/ is left out')],
  });
  // Who leaves it out by name knows.
  const quiet = { source, target, filter: { exclude: ['.state/sealift/**'] } };
  expect(told(await preview(quiet, engine))).toEqual({ a: 'skip', '.state/b': 'skip' });
  expect((await engine.migrate(quiet)).warnings).toEqual([]);
  const names = async function* () {
    yield Buffer.from('.state/sealift/a ledger\0a\0');
  };
  expect(told(await preview({ source, target, names }, engine))).toEqual({ a: 'skip', '.state/sealift/': 'skip' });
  await expect(engine.migrate({ source: stateDir, target })).rejects.toMatchObject({ code: 'usage' });
});

test('each decision is a line of JSON, the sums are the last, and refusals make it 3', async () => {
  const written = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  async function* decisions(): AsyncGenerator<Decision> {
    yield { name: 'a', size: 10, would: 'seal' };
    yield { name: 'b', size: 5, would: 'refuse', code: 'bad-name', message: 'why' };
  }
  const exit = await tellDecisions(new Output({ json: true, quiet: true }), decisions());
  const lines = written.mock.calls.map(([line]) => JSON.parse(String(line)));
  written.mockRestore();
  expect(exit).toBe(3);
  expect(lines.slice(0, 2)).toEqual([
    { type: 'decision', name: 'a', size: 10, would: 'seal' },
    { type: 'decision', name: 'b', size: 5, would: 'refuse', code: 'bad-name', message: 'why' },
  ]);
  const [seal, refuse] = [
    { objects: 1, bytes: 10 },
    { objects: 1, bytes: 5 },
  ];
  expect(lines.at(-1)).toMatchObject({ type: 'result', command: 'migrate', dryRun: true, seal, refuse });
});
