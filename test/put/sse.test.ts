/**
 * Encryption at rest, asked of S3 beside the seal: every way to write asks for it, what S3 answers is checked and told,
 * and a server that does otherwise is found out.
 */
import { createSecretKey } from 'node:crypto';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PutRequest } from '../../src/index.ts';
import { writeKeyFile } from '../../src/keys/key-file.ts';
import type { ServerEncryption } from '../../src/stores/encryption.ts';
import { runHere } from '../support/here.ts';
import { type Answer, startProxy } from '../support/proxy.ts';
import { BUCKET, openStage, PART_2_FAILS, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
let arn: string;
beforeAll(async () => {
  stage = await openStage({ https: true });
  arn = stage.sandbox.kmsKeyId;
});
afterEach(() => {
  stage.sandbox.setFaults('');
  vi.stubEnv('AWS_ENDPOINT_URL_S3', stage.sandbox.s3Url);
});
afterAll(() => stage.close());

/** Two parts, the last of them short. */
const SHORT = PART_SIZE + 1000;
const kms = (): ServerEncryption => ({
  algorithm: 'aws:kms',
  keyId: arn,
  bucketKey: true,
  context: { team: 'backup' },
});
const put = ({ source, target }: Pick<Plot, 'source' | 'target'>, request: Partial<PutRequest> = {}) =>
  stage.shared.put({ source, target, partSize: PART_SIZE, ...request });

async function headOf({ key }: Pick<Plot, 'key'>) {
  const answer = await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key }));
  const { ServerSideEncryption: algorithm, SSEKMSKeyId: keyId, BucketKeyEnabled: bucketKey } = answer;
  return { algorithm, keyId, bucketKey };
}

describe('SSE-KMS with a key, a context and a bucket key', () => {
  const told = () => ({ algorithm: 'aws:kms', keyId: arn, bucketKey: true });

  test('of a small file', async () => {
    const plot = stage.plot('small', 1000);
    expect(await put(plot, { sse: kms() })).toMatchObject({ sse: told(), warnings: [] });
    expect(await headOf(plot)).toEqual(told());
    expect((await stage.shared.inspect(plot.target)).sse).toEqual(told());
    await stage.expectEqual(plot);
  });

  test('of a pipe', async () => {
    const target = `s3://${BUCKET}/pipe`;
    const source = (async function* () {
      yield Buffer.alloc(1000);
    })();
    expect(await stage.shared.put({ source, target, sse: kms() })).toMatchObject({ sse: told() });
  });

  test('of an upload that goes on later, also where the next call leaves it out; another one is refused', async () => {
    const plot = stage.plot('resumed', SHORT);
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', { partSize: PART_SIZE, sse: kms() });
    await expect(put(plot, { sse: { algorithm: 'AES256' } })).rejects.toMatchObject({ code: 'options-differ' });
    expect(await put(plot)).toMatchObject({ sse: told(), partsReused: 1 });
    expect(await headOf(plot)).toEqual(told());
    await stage.expectEqual(plot);
  });

  test('of an object sealed again, and of one rewrapped: as it was, or as it is to be', async () => {
    const plot = stage.plot('again', 1000);
    await put(plot, { sse: kms() });
    const reseal = (request = {}) => stage.shared.reseal({ object: plot.target, ...request });
    expect(await reseal()).toMatchObject({ sse: told() });
    expect(await reseal({ sse: { algorithm: 'AES256' } })).toMatchObject({ sse: { algorithm: 'AES256' } });
    await put(plot, { format: 's3ec', sse: kms(), overwrite: true });
    expect(await stage.shared.rewrap({ object: plot.target })).toMatchObject({ sse: told() });
    const sse = { algorithm: 'aws:kms:dsse' };
    expect(await stage.shared.rewrap({ object: plot.target, sse })).toMatchObject({ sse });
    await stage.expectEqual(plot);
  });

  test('of an instruction file, as of its object', async () => {
    const plot = stage.plot('beside', 1000);
    await put(plot, { format: 's3ec', instructionFile: true, sse: kms() });
    const file = { ...plot, key: `${plot.key}.instruction` };
    expect(await headOf(file)).toEqual(told());
    const written = await stage.stored(file);
    // The file alone would be under the new key, and the object could not be read with either.
    const refused = { code: 'bad-option', exit: 2, hint: expect.stringContaining('reseal') };
    for (const asked of [{ sse: { algorithm: 'AES256' } }, { customerKey: createSecretKey(Buffer.alloc(32)) }]) {
      await expect(stage.shared.rewrap({ object: plot.target, ...asked })).rejects.toMatchObject(refused);
    }
    expect(await stage.stored(file)).toEqual(written);
    expect(await stage.shared.rewrap({ object: plot.target })).toMatchObject({ sse: told() });
    expect(await headOf(file)).toEqual(told());
    await stage.expectEqual(plot);
  });
});

test('the command line asks, and tells what was answered', async () => {
  const plot = stage.plot('cli', 1000);
  const key = `${stage.folder}/cli.key`;
  await writeKeyFile(key);
  const asked = ['--sse', `kms:${arn}`, '--sse-context', 'team=backup', '--bucket-key'];
  const flags = ['--raw-key', key, '--state-dir', plot.stateDir];
  const { last, stderr } = await runHere(['put', plot.source, plot.target, ...flags, ...asked, '--json']);
  expect(last).toMatchObject({ sse: { algorithm: 'aws:kms', keyId: arn, bucketKey: true } });
  expect(stderr).toContain(`at rest aws:kms, key ${arn}, bucket key`);
});

test.each([1000, SHORT])('a key that S3 may not use is told as that, and binds no job: %i bytes', async (size) => {
  const plot = stage.plot(`no-key-${size}`, size);
  await expect(put(plot, { sse: { algorithm: 'aws:kms', keyId: 'alias/none' } })).rejects.toMatchObject({
    code: 'kms-key-not-found',
    exit: 1,
    hint: expect.stringContaining('--sse'),
  });
  expect(await put(plot)).toMatchObject({ sse: { algorithm: 'AES256' } });
});

test.each([
  ['a key without KMS', { algorithm: 'AES256', keyId: 'x' }],
  ['a context without KMS', { algorithm: 'AES256', context: { a: 'b' } }],
  ['a bucket key with DSSE', { algorithm: 'aws:kms:dsse', bucketKey: true }],
])('%s is refused before anything is asked', async (_, sse) => {
  const plot = stage.plot('refused', 1000);
  stage.requests.length = 0;
  await expect(put(plot, { sse })).rejects.toMatchObject({ code: 'bad-option', exit: 2 });
  expect(stage.requests).toEqual([]);
  await expect(put({ ...plot, target: `file://${stage.folder}/x` }, { sse: kms() })).rejects.toMatchObject({
    code: 'bad-option',
    message: expect.stringContaining('has none'),
  });
});

describe('a server that encrypts otherwise', () => {
  const HEADER = 'x-amz-server-side-encryption';

  /** Puts through a proxy that has `method`'s answers say another algorithm. */
  async function putAt(liars: (method: string, path: string) => boolean, plot: Plot, sse: ServerEncryption) {
    await using http = await openHttp();
    await using proxy = await startProxy(http.url, (answer: Answer, { method, path }) => {
      if (answer.headers[HEADER] && liars(method, path)) answer.headers[HEADER] = 'aws:backup';
      return answer;
    });
    vi.stubEnv('AWS_ENDPOINT_URL_S3', proxy.url);
    await using engine = stage.engine(plot);
    const outcome = await engine.put({ ...plot, partSize: PART_SIZE, sse }).catch((error) => error);
    return {
      outcome,
      uploads: await http.stage.uploadIds(plot),
      operations: http.stage.operations(plot),
      jobs: engine.jobs(),
    };
  }

  async function openHttp() {
    const http = await openStage();
    const restore = Object.entries(stage.sandbox.env);
    return {
      stage: http,
      url: http.sandbox.s3Url,
      async [Symbol.asyncDispose]() {
        await http.close();
        for (const [name, value] of restore) vi.stubEnv(name, value);
        vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
      },
    };
  }

  const mismatch = { code: 'encryption-mismatch', exit: 1, message: expect.stringContaining('aws:backup') };

  test('is found out before a part is sent, and the upload is gone', async () => {
    const plot = stage.plot('liar', SHORT);
    const { outcome, uploads, operations } = await putAt(() => true, plot, { algorithm: 'AES256' });
    expect(outcome).toMatchObject(mismatch);
    expect(uploads).toEqual([]);
    expect(operations).not.toContain('UploadPart');
  });

  test('is found out once the object is there, by the last witness too', async () => {
    const plot = stage.plot('late liar', 1000);
    const { outcome, jobs } = await putAt((method) => method === 'HEAD', plot, { algorithm: 'AES256' });
    expect(outcome).toMatchObject(mismatch);
    expect(jobs).toContainEqual(expect.objectContaining({ target: plot.target, state: 'failed' }));
  });
});
