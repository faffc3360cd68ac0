/** Buckets that keep versions: an older one is read by its id, and a get never mixes two. */
import { readFileSync } from 'node:fs';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  PutBucketVersioningCommand,
  RestoreObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { outcome } from '../sandbox/s3-client.ts';
import { runHere } from '../support/here.ts';
import { openStage, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';
import { pipeOf } from './foreign-message.ts';

const Bucket = 'versions';
const VersioningConfiguration = { Status: 'Enabled' } as const;

let stage: Stage;
/** Sources of the same object, the older first, and what the store calls them. */
let plots: [Plot, Plot];
let ids: string[];
let source: string;
beforeAll(async () => {
  stage = await openStage();
  await stage.s3.send(new CreateBucketCommand({ Bucket }));
  await stage.s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  source = `s3://${Bucket}/object`;
  plots = [stage.plot('older', 2 * PART_SIZE), stage.plot('newer', 1000)];
  const results = [];
  for (const plot of plots) {
    results.push(await stage.put({ ...plot, target: source }, { partSize: PART_SIZE, overwrite: true }));
  }
  ids = results.map(({ result }) => result.versionId!);
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

const isFrom = ({ source: path, back }: Plot) => readFileSync(back).equals(readFileSync(path));

test('each version comes back by its id, whether it was put whole or in parts; without one, the newest', async () => {
  expect(new Set(ids).size).toBe(2);
  for (const [index, plot] of plots.entries()) {
    await stage.shared.get({ source, target: plot.back, versionId: ids[index] });
    expect(isFrom(plot)).toBe(true);
    expect(await stage.shared.verify({ source, versionId: ids[index] })).toMatchObject({ object: source });
    expect(await stage.shared.inspect(source, { versionId: ids[index] })).toMatchObject({ versionId: ids[index] });
  }
  expect(await stage.shared.inspect(source)).toMatchObject({ versionId: ids[1], plainBytes: 1000 });
});

test('an unfinished get of one version is not gone on with as one of another', async () => {
  const target = `${plots[0].back}.unfinished`;
  stage.sandbox.setFaults('GetObject:3=AccessDenied');
  await expect(stage.shared.get({ source, target, versionId: ids[0] })).rejects.toMatchObject({
    code: 'access-denied',
  });
  await expect(stage.shared.get({ source, target })).rejects.toMatchObject({ code: 'options-differ', exit: 2 });
  expect(await stage.shared.get({ source, target, versionId: ids[0] })).toMatchObject({ partsReused: 1 });
});

test('a version that is not there, or that no pipe and no directory can have, is refused', async () => {
  const none = { source, versionId: 'none' };
  const missing = { code: 'object-not-found', message: expect.stringContaining('version none') };
  await expect(stage.shared.verify(none)).rejects.toMatchObject(missing);
  await expect(stage.shared.inspect(source, none)).rejects.toMatchObject(missing);
  const piped = pipeOf(Buffer.alloc(10));
  await expect(stage.shared.verify({ source: piped, versionId: 'x' })).rejects.toMatchObject({ code: 'bad-option' });
  const file = { source: `file://${plots[0].source}`, versionId: 'x' };
  await expect(stage.shared.verify(file)).rejects.toMatchObject({ code: 'object-not-found' });
});

test('a deleted object is not there, but its versions are, until they are deleted by their ids', async () => {
  const { VersionId: marker, DeleteMarker } = await stage.s3.send(new DeleteObjectCommand({ Bucket, Key: 'object' }));
  expect(DeleteMarker).toBe(true);
  await expect(stage.shared.verify({ source })).rejects.toMatchObject({ code: 'object-not-found' });
  await expect(stage.shared.verify({ source, versionId: marker })).rejects.toMatchObject({ code: 'store-error' });
  expect(await runHere(['inspect', source, '--version-id', ids[1]!, '--json'])).toMatchObject({
    exit: 0,
    last: { versionId: ids[1], plainBytes: 1000 },
  });
  const drop = (VersionId: string) => stage.s3.send(new DeleteObjectCommand({ Bucket, Key: 'object', VersionId }));
  await drop(marker!);
  expect(await stage.shared.inspect(source)).toMatchObject({ versionId: ids[1] });
  await drop(ids[1]!);
  expect(await stage.shared.inspect(source)).toMatchObject({ versionId: ids[0] });
  const dropBucket = () => outcome(stage.s3.send(new DeleteBucketCommand({ Bucket })));
  expect(await dropBucket()).toBe('BucketNotEmpty 409');
  await drop(ids[0]!);
  expect(await dropBucket()).toBe('ok');
});

test('versioning is off in a new bucket, and can be suspended', async () => {
  const other = { Bucket: 'unversioned' };
  await stage.s3.send(new CreateBucketCommand(other));
  expect((await stage.s3.send(new GetBucketVersioningCommand(other))).Status).toBeUndefined();
  const suspend = new PutBucketVersioningCommand({ ...other, VersioningConfiguration: { Status: 'Suspended' } });
  await stage.s3.send(suspend);
  expect((await stage.s3.send(new GetBucketVersioningCommand(other))).Status).toBe('Suspended');
});

test('the command that restores an archived version names it, and then it opens', async () => {
  const archive = 'archive';
  await stage.s3.send(new CreateBucketCommand({ Bucket: archive }));
  await stage.s3.send(new PutBucketVersioningCommand({ Bucket: archive, VersioningConfiguration }));
  const plot = { ...stage.plot('archived', 1000), target: `s3://${archive}/object` };
  const { result } = await stage.put(plot, { storageClass: 'GLACIER' });
  await stage.put(plot, { overwrite: true });
  const { versionId } = result;
  await expect(stage.shared.verify({ source: plot.target, versionId })).rejects.toMatchObject({
    code: 'object-archived',
    hint: expect.stringContaining(`--key object --version-id ${versionId} --restore-request Days=7`),
  });
  const request = { Bucket: archive, Key: 'object', VersionId: versionId };
  await stage.s3.send(new RestoreObjectCommand({ ...request, RestoreRequest: { Days: 7 } }));
  expect(await stage.shared.verify({ source: plot.target, versionId })).toMatchObject({ plainBytes: 1000 });
});
