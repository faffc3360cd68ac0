/** What is S3's alone, against the sandbox: connections, signatures, retries, lost answers, threads. */
import { randomBytes } from 'node:crypto';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Worker } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Retry } from '../../src/network.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { resolveS3Settings, type S3Options, type S3Settings } from '../../src/stores/aws-settings.ts';
import { readWhole } from '../../src/stores/object-stream.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { collect, NEW, put, storeContract, upload } from './contract.ts';

const BUCKET = 'backups';
/** Whom the sandbox's buckets belong to. */
const OWNER = '000000000000';
const MIN_PART_SIZE = 64 * 1024;

/** Starts a sandbox, and makes a store as a user of its environment would. */
async function startStore({
  https = false,
  direct = true,
  ...options
}: { https?: boolean; direct?: boolean } & Partial<S3Options> = {}) {
  const sandbox = await startSandbox({ https, buckets: [BUCKET], minPartSize: MIN_PART_SIZE });
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  const { settings, credentials } = await resolveS3Settings({ bucket: BUCKET, ...options });
  // Enough to see that there are retries; the default would wait for seconds.
  settings.maxAttempts = 3;
  // As of a bucket that only the SDK can ask.
  if (!direct) settings.direct = undefined;
  const retries: Retry[] = [];
  const makeStore = (changes: Partial<S3Settings> = {}) =>
    new S3Store({ settings: { ...settings, ...changes }, credentials, onRetry: (retry) => retries.push(retry) });
  const store = makeStore();
  const close = async () => {
    store.close();
    await sandbox.close();
  };
  return { sandbox, settings, credentials, retries, store, makeStore, close, minPartSize: MIN_PART_SIZE };
}

storeContract('S3 over HTTP', () => startStore());
storeContract('S3 over HTTPS', () => startStore({ https: true }));
storeContract('S3 over HTTPS, all of it through the SDK', () => startStore({ https: true, direct: false }));

/** Requests that the sandbox gets and connections this process opens, as Node itself reports them. */
const requests: IncomingMessage[] = [];
let connections = 0;
const onRequest = (message: unknown) => void requests.push((message as { request: IncomingMessage }).request);
const onSocket = () => void connections++;

beforeAll(() => {
  diagnostics.subscribe('http.server.request.start', onRequest);
  diagnostics.subscribe('net.client.socket', onSocket);
});

afterAll(() => {
  diagnostics.unsubscribe('http.server.request.start', onRequest);
  diagnostics.unsubscribe('net.client.socket', onSocket);
  vi.unstubAllEnvs();
});

beforeEach(() => {
  requests.length = 0;
  connections = 0;
});

describe.each([
  ['HTTPS', true, true],
  ['HTTPS, all of it through the SDK', true, false],
  ['HTTP', false, true],
])('over %s', (_, https, direct) => {
  let s3: Awaited<ReturnType<typeof startStore>>;
  beforeAll(async () => {
    s3 = await startStore({ https, direct, expectedBucketOwner: OWNER });
  });
  afterAll(() => s3.close());

  it('many parts go over as many connections as are in flight', async () => {
    const body = randomBytes(2.5 * 1024 * 1024);
    const part = {
      offset: 0,
      uploadId: await s3.store.createUpload('reuse', { metadata: {} }),
      body,
      crc32: crc32(body),
    };
    const lane = async (first: number) => {
      for (let number = first; number <= 12; number += 3) await s3.store.sendPart('reuse', { ...part, number });
    };
    await Promise.all([lane(1), lane(2), lane(3)]);
    expect(requests).toHaveLength(13);
    // And the one on which the upload was created.
    expect(connections).toBeLessThanOrEqual(4);
    expect(requests.filter((request) => request.headers.expect)).toEqual([]);
    await s3.store.abortUpload('reuse', part.uploadId);
  });

  it(`the payload of parts is ${https ? 'not hashed again' : 'signed'}`, async () => {
    const body = randomBytes(1000);
    const bySdk = s3.makeStore({ direct: undefined });
    for (const store of [s3.store, bySdk]) {
      await put(store, 'payload', body);
      const { uploadId } = await upload(store, 'payload', [body]);
      await store.abortUpload('payload', uploadId);
    }
    bySdk.close();
    const hashes = requests
      .filter((request) => request.method === 'PUT')
      .map((request) => request.headers['x-amz-content-sha256']);
    expect(hashes).toEqual(Array(4).fill(https ? 'UNSIGNED-PAYLOAD' : expect.stringMatching(/^[0-9a-f]{64}$/)));
  });

  it('every request names the owner the bucket must have', async () => {
    const body = randomBytes(1000);
    await s3.store.head('owner');
    await put(s3.store, 'owner', body);
    await readWhole(await s3.store.read('owner', { first: 0, last: 9 }));
    const sent = await upload(s3.store, 'owner', [body]);
    await collect(s3.store.listParts('owner', sent.uploadId));
    await collect(s3.store.listUploads('owner'));
    await s3.store.completeUpload('owner', { ...sent, condition: {} });
    await s3.store.abortUpload('owner', sent.uploadId);
    expect(requests).toHaveLength(10);
    const owners = new Set(requests.map((request) => request.headers['x-amz-expected-bucket-owner']));
    expect([...owners]).toEqual([OWNER]);
  });

  it('a read names the object it must be', async () => {
    const { etag } = await put(s3.store, 'matched', randomBytes(10));
    await readWhole(await s3.store.read('matched', { first: 0, last: 9 }, { ifMatch: etag }));
    expect(requests.at(-1)!.headers['if-match']).toBe(etag);
  });

  it('a bucket of another owner is denied', async () => {
    const strict = s3.makeStore({ expectedBucketOwner: '123456789012' });
    await expect(put(strict, 'owner', randomBytes(1))).rejects.toMatchObject({ code: 'access-denied' });
    strict.close();
  });

  it('tags and storage class are kept', async () => {
    const headers = { metadata: {}, storageClass: 'STANDARD_IA', tags: { team: 'a & b' } };
    await s3.store.putObject('headers', new Uint8Array(), { ...headers, crc32: 0, condition: {} });
    await s3.store.createUpload('headers', headers);
    expect(await s3.store.head('headers')).toMatchObject({ storageClass: 'STANDARD_IA' });
    const tagging = requests.slice(0, 2).map((request) => request.headers['x-amz-tagging']);
    expect(tagging).toEqual(['team=a%20%26%20b', 'team=a%20%26%20b']);
  });
});

describe('faults', () => {
  let s3: Awaited<ReturnType<typeof startStore>>;
  const body = randomBytes(3 * 1024 * 1024);

  beforeAll(async () => {
    s3 = await startStore({ https: true });
  });
  beforeEach(() => {
    s3.retries.length = 0;
  });
  afterEach(() => s3.sandbox.setFaults(''));
  afterAll(() => s3.close());

  it.each(['500', '503', 'reset', 'reset@1MiB', 'lose-answer'])('a part is sent again after %s', async (effect) => {
    const key = `part ${effect}`;
    const uploadId = await s3.store.createUpload(key, { metadata: {} });
    s3.sandbox.setFaults(`UploadPart:1=${effect}`);
    const { etag } = await s3.store.sendPart(key, { uploadId, number: 1, offset: 0, body, crc32: crc32(body) });
    expect(s3.retries).toEqual([{ call: 'UploadPart', throttled: effect === '503', reason: expect.any(String) }]);
    expect(await collect(s3.store.listParts(key, uploadId))).toEqual([
      { number: 1, size: body.length, etag, crc32: crc32(body) },
    ]);
  });

  it('a put whose answer was lost looks like a name taken, and head tells that it is ours', async () => {
    s3.sandbox.setFaults('PutObject:1=lose-answer');
    const write = s3.store.putObject('lost', body, {
      metadata: { 'sealift-id': 'ours' },
      crc32: crc32(body),
      condition: NEW,
    });
    await expect(write).rejects.toMatchObject({ code: 'target-exists' });
    expect(await s3.store.head('lost')).toMatchObject({ size: body.length, metadata: { 'sealift-id': 'ours' } });
  });

  it('a Complete whose answer was lost never looks like success, and head tells that it was one', async () => {
    const sent = await upload(s3.store, 'lost complete', [body]);
    s3.sandbox.setFaults('CompleteMultipartUpload:1=lose-answer');
    await expect(s3.store.completeUpload('lost complete', sent)).rejects.toMatchObject({
      code: expect.stringMatching(/^(upload-lost|target-exists|store-unavailable)$/),
    });
    expect(await s3.store.head('lost complete')).toMatchObject({
      crc32: sent.crc32,
      metadata: { 'sealift-id': 'abc' },
    });
  });

  it('a Complete with an error inside its 200 is tried again', async () => {
    const sent = await upload(s3.store, 'error in 200', [body]);
    s3.sandbox.setFaults('CompleteMultipartUpload:1=error-in-200');
    expect(await s3.store.completeUpload('error in 200', sent)).toMatchObject({ crc32: sent.crc32 });
    expect(s3.retries).toHaveLength(1);
  });

  it('and is unavailable when that does not pass', async () => {
    const sent = await upload(s3.store, 'errors in 200', [body]);
    s3.sandbox.setFaults('CompleteMultipartUpload:*=error-in-200');
    const hasty = s3.makeStore({ maxAttempts: 2 });
    await expect(hasty.completeUpload('errors in 200', sent)).rejects.toMatchObject({
      code: 'store-unavailable',
      exit: 5,
    });
    hasty.close();
  });

  it('a download that never comes is given up', async () => {
    await put(s3.store, 'stalled', body);
    s3.sandbox.setFaults('GetObject:*=stall');
    const hasty = s3.makeStore({ stallMs: 200, maxAttempts: 2 });
    await expect(hasty.read('stalled', { first: 0, last: 9 })).rejects.toMatchObject({ code: 'store-unavailable' });
    hasty.close();
  });

  it('a download cut off is told with what came', async () => {
    await put(s3.store, 'cut', body);
    s3.sandbox.setFaults('GetObject:1=reset@1MiB');
    const stream = await s3.store.read('cut', { first: 0, last: body.length - 1 });
    await expect(readWhole(stream)).rejects.toMatchObject({
      code: 'store-unavailable',
      message: expect.stringMatching(/GetObject s3:\/\/backups\/cut: \d+ of 3145728 bytes came: /),
    });
  });

  it.each([
    ['ExpiredToken', 'credentials-expired'],
    ['AccessDenied', 'access-denied'],
    ['NoSuchBucket', 'bucket-not-found'],
  ])('%s is %s', async (fault, code) => {
    s3.sandbox.setFaults(`PutObject:*=${fault}`);
    await expect(put(s3.store, 'refused', body)).rejects.toMatchObject({ code });
  });
});

describe('a store', () => {
  let s3: Awaited<ReturnType<typeof startStore>>;
  beforeAll(async () => {
    s3 = await startStore({ https: true });
  });
  afterAll(() => s3.close());

  it('of a bucket that is not there says so, for every call', async () => {
    const direct = { ...s3.settings.direct!, url: `${s3.sandbox.env.AWS_ENDPOINT_URL_S3}/nowhere` };
    const nowhere = s3.makeStore({ bucket: 'nowhere', direct });
    const missing = { code: 'bucket-not-found' };
    await expect(nowhere.head('k')).rejects.toMatchObject(missing);
    await expect(put(nowhere, 'k', randomBytes(1))).rejects.toMatchObject(missing);
    await expect(nowhere.createUpload('k', { metadata: {} })).rejects.toMatchObject(missing);
    await expect(nowhere.read('k', { first: 0, last: 0 })).rejects.toMatchObject(missing);
    nowhere.close();
  });

  it('of another region says which', async () => {
    const elsewhere = s3.makeStore({ region: 'eu-south-2' });
    const wrong = { code: 'wrong-region', hint: expect.stringContaining(`AWS_REGION=${s3.settings.region}`) };
    await expect(elsewhere.createUpload('k', { metadata: {} })).rejects.toMatchObject(wrong);
    elsewhere.close();
  });

  it('with a wrong secret is denied', async () => {
    const { accessKeyId } = await s3.credentials();
    const credentials = async () => ({ accessKeyId, secretAccessKey: 'wrong' });
    const stranger = new S3Store({ settings: s3.settings, credentials });
    await expect(put(stranger, 'k', randomBytes(1))).rejects.toMatchObject({
      code: 'access-denied',
      hint: expect.stringContaining('AWS_SECRET_ACCESS_KEY'),
    });
    stranger.close();
  });

  it('does not trust a certificate it was not told to trust', async () => {
    const trusting = s3.makeStore({ caBundle: undefined });
    await expect(trusting.head('k')).rejects.toMatchObject({
      code: 'store-error',
      hint: expect.stringContaining('AWS_CA_BUNDLE'),
    });
    trusting.close();
  });

  it('lists more parts than a page holds', async () => {
    const uploadId = await s3.store.createUpload('pages', { metadata: {} });
    const body = Buffer.from('x');
    for (let number = 1; number <= 1001; number += 11) {
      const group = Array.from({ length: 11 }, (_, index) => number + index);
      await Promise.all(
        group.map((n) => s3.store.sendPart('pages', { uploadId, number: n, offset: n - 1, body, crc32: crc32(body) })),
      );
    }
    const parts = await collect(s3.store.listParts('pages', uploadId));
    expect(parts.map(({ number }) => number)).toEqual(Array.from({ length: 1001 }, (_, index) => index + 1));
    await s3.store.abortUpload('pages', uploadId);
  });

  it('works in a thread, from settings that crossed to it', async () => {
    const code = `
      const { parentPort, workerData } = await import('node:worker_threads');
      const { S3Store } = await import(workerData.module);
      const store = new S3Store({ settings: workerData.settings, credentials: async () => workerData.credentials });
      parentPort.postMessage(await store.putObject('thread', Buffer.from('abc'), workerData.options));
      store.close();`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
      workerData: {
        module: new URL('../../src/stores/s3.ts', import.meta.url).href,
        settings: s3.settings,
        credentials: await s3.credentials(),
        options: { metadata: {}, crc32: crc32('abc'), condition: NEW },
      },
    });
    // Both are awaited from the start: they may come together.
    const exited = once(worker, 'exit');
    const [answer] = await once(worker, 'message');
    expect(answer).toMatchObject({ crc32: crc32('abc') });
    await exited;
    expect(await s3.store.head('thread')).toMatchObject({ size: 3 });
  });
});
