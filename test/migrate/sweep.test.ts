/** `migrate --delete-source`: what is deleted is what the object that proved itself was made of, and nothing else. */
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { programFor } from '../../src/cli/main.ts';
import { Output } from '../../src/cli/output.ts';
import { writeKeyFile } from '../../src/keys/key-file.ts';
import { BulkLedger } from '../../src/ledger/bulk.ts';
import { BUCKET, openStage, PART_SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** A file, sealed into an object; and the ledger, which is opened again. */
async function sealed(name: string) {
  const source = join(stage.folder, name);
  const path = join(source, 'a');
  mkdirSync(source);
  writeFileSync(path, 'one');
  utimesSync(path, 1_600_000_000, 1_600_000_000);
  const request = { source, target: `s3://${BUCKET}/${name}/` };
  const { job } = await stage.shared.migrate(request);
  const ledger = BulkLedger.open(join(stage.folder, 'state'), job);
  ledger.reopen();
  return { path, request, ledger };
}

test('a file that its object was not made of stays, whatever the row says', async () => {
  const { path, request, ledger } = await sealed('written');
  const [row] = ledger.inState('done');
  writeFileSync(path, 'two');
  const mtimeNs = String(statSync(path, { bigint: true }).mtimeNs);
  await ledger.write([{ ...row!, source: { ...row!.source, mtimeNs } }]);
  ledger.close();
  const { warnings } = await stage.shared.migrate({ ...request, deleteSource: true });
  expect(warnings.join()).toContain('source-changed');
  expect(existsSync(path)).toBe(true);
});

test('another file of the same name, size and time stays', async () => {
  const { path, request, ledger } = await sealed('swapped');
  ledger.close();
  writeFileSync(`${path} other`, 'two');
  utimesSync(`${path} other`, 1_600_000_000, 1_600_000_000);
  renameSync(`${path} other`, path);
  const { warnings } = await stage.shared.migrate({ ...request, deleteSource: true });
  expect(warnings.join()).toContain('source-changed');
  expect(existsSync(path)).toBe(true);
});

test('where another object has taken its place the source stays', async () => {
  const { path, request, ledger } = await sealed('replaced');
  ledger.close();
  // Made of the same file, and whole: but it is not the one that this job can answer for.
  await stage.shared.put({ source: path, target: `${request.target}a`, overwrite: true });
  const { warnings } = await stage.shared.migrate({ ...request, deleteSource: true });
  expect(warnings.join()).toContain('object-changed');
  expect(existsSync(path)).toBe(true);
});

test('a file that is what was sealed goes, and going on once more asks for nothing', async () => {
  const { path, request, ledger } = await sealed('gone');
  ledger.close();
  expect((await stage.shared.migrate({ ...request, deleteSource: true })).warnings).toEqual([]);
  expect(existsSync(path)).toBe(false);
});

test('objects of a bucket go likewise, small, large and sealed ones; one that was written anew stays', async () => {
  const put = (Key: string, Body: string | Buffer) =>
    stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: `from/${Key}`, Body }));
  await Promise.all([put('small', 'one'), put('large', Buffer.alloc(PART_SIZE + 17)), put('anew', 'two')]);
  const file = join(stage.folder, 'file');
  writeFileSync(file, 'three');
  await stage.shared.put({ source: file, target: `s3://${BUCKET}/from/sealed` });
  const request = { source: `s3://${BUCKET}/from/`, target: `s3://${BUCKET}/to/`, partSize: PART_SIZE };
  const { job } = await stage.shared.migrate(request);
  {
    using ledger = BulkLedger.open(join(stage.folder, 'state'), job);
    ledger.reopen();
  }
  await put('anew', 'four');
  const { warnings } = await stage.shared.migrate({ ...request, deleteSource: true });
  const { Contents = [] } = await stage.s3.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'from/' }));
  expect(Contents.map(({ Key }) => Key)).toEqual(['from/anew']);
  expect(warnings).toEqual([expect.stringMatching(/^1 of what was moved was not deleted.*anew/)]);
});

test('what was kept for a doubt goes by `resume --failed` once there is none, of a job that is over', async () => {
  const source = join(stage.folder, 'doubted');
  mkdirSync(source);
  for (const name of ['a', 'b']) writeFileSync(join(source, name), name);
  const [key, state] = [join(stage.folder, 'doubted.key'), join(stage.folder, 'doubted state')];
  await writeKeyFile(key);
  const sealift = async (...args: string[]) => {
    await programFor(new Output({})).parseAsync([...args, '--state-dir', state, '-q'], { from: 'user' });
    const exit = process.exitCode;
    process.exitCode = undefined;
    return exit;
  };
  stage.sandbox.setFaults('GetObject(key=doubted/a):*=corrupt@20');
  const flags = ['--raw-key', key, '--delete-source', '--yes'];
  expect(await sealift('migrate', source, `s3://${BUCKET}/doubted/`, ...flags)).toBe(3);
  expect(readdirSync(source)).toEqual(['a']);
  stage.sandbox.setFaults('');
  const job = readdirSync(state)
    .find((name) => name.endsWith('.db'))!
    .replace('.db', '');
  expect(await sealift('resume', job)).toBe(0);
  expect(readdirSync(source)).toEqual(['a']);
  expect(await sealift('resume', job, '--failed')).toBe(0);
  expect(readdirSync(source)).toEqual([]);
});
