/**
 * Sealed or not x every way to encrypt at rest x every way to write x every way to read: what comes back is what went in,
 * S3 says that it did as it was asked, and nothing else was asked. README shows the table.
 */
import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CreateBucketCommand, HeadObjectCommand, PutBucketEncryptionCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PutRequest } from '../../src/index.ts';
import { clientOf } from '../sandbox/s3-client.ts';
import { MOTO_VERSION, noMoto, startMoto } from '../support/moto.ts';
import { BUCKET, openStage, PART_2_FAILS, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ https: true });
  const NONE = { BlockedEncryptionTypes: { EncryptionType: ['NONE' as const] } };
  const ServerSideEncryptionConfiguration = { Rules: [NONE] };
  await stage.s3.send(new PutBucketEncryptionCommand({ Bucket: BUCKET, ServerSideEncryptionConfiguration }));
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

type Mode = Pick<PutRequest, 'sse' | 'customerKey' | 'seal' | 'partSize' | 'frameSize'>;

const customerKey = createSecretKey(Buffer.alloc(32, 'customer'));
const MODES: Record<string, Mode> = {
  'none asked': {},
  s3: { sse: { algorithm: 'AES256' } },
  kms: {
    sse: {
      algorithm: 'aws:kms',
      get keyId() {
        return stage.sandbox.kmsKeyId;
      },
      context: { team: 'backup' },
    },
  },
  'kms, bucket key': { sse: { algorithm: 'aws:kms', bucketKey: true } },
  dsse: { sse: { algorithm: 'aws:kms:dsse' } },
  'sse-c': { customerKey },
};

/** Two parts, the last of them short. */
const SHORT = PART_SIZE + 1000;
const sizes = { partSize: PART_SIZE, frameSize: 64 * 1024 };
const SEALS: Record<string, Mode> = { sealed: sizes, 'not sealed': { seal: 'none', partSize: PART_SIZE } };
const UPLOADS: Record<string, { size: number; put: (plot: Plot, mode: Mode) => Promise<unknown> }> = {
  single: { size: 1000, put: ({ source, target }, mode) => stage.shared.put({ source, target, ...mode }) },
  multipart: { size: SHORT, put: ({ source, target }, mode) => stage.shared.put({ source, target, ...mode }) },
  pipe: {
    size: SHORT,
    put: ({ source, target }, mode) => stage.shared.put({ source: pipeOf(source), target, ...mode }),
  },
  resumed: {
    size: SHORT,
    async put(plot, mode) {
      await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', mode);
      const { source, target } = plot;
      const { customerKey, seal } = mode;
      const result = await stage.shared.put({ source, target, customerKey, seal });
      expect(result.partsReused).toBe(1);
      return result;
    },
  },
};

async function* pipeOf(path: string): AsyncGenerator<Uint8Array> {
  yield readFileSync(path);
}

/** Reads the object in every way, and compares. */
async function read({ source: path, target: source }: Plot, { customerKey, seal }: Mode): Promise<void> {
  const plain = readFileSync(path);
  const get = async (range?: { first: number; last: number }) => {
    const opened: Buffer[] = [];
    const target = async (bytes: Uint8Array) => void opened.push(Buffer.from(bytes));
    await stage.shared.get({ source, target, range, customerKey, seal });
    return Buffer.concat(opened);
  };
  expect((await get()).equals(plain)).toBe(true);
  const range = { first: plain.length - 500, last: plain.length - 100 };
  expect((await get(range)).equals(plain.subarray(range.first, range.last + 1))).toBe(true);
  expect(await stage.shared.verify({ source, customerKey, seal })).toMatchObject({ warnings: [] });
}

function customerFields({ customerKey: key }: Mode) {
  return key ? { SSECustomerAlgorithm: 'AES256', SSECustomerKey: key.export() as unknown as string } : {};
}

describe.each(Object.entries(MODES))('%s', (name, mode) => {
  const ways = Object.entries(SEALS).flatMap(([how, seal]) =>
    Object.entries(UPLOADS).map(([upload, way]) => ({ how, upload, ...way, mode: { ...mode, ...seal } })),
  );
  test.each(ways)('$how, $upload, read whole, by range and verified', async ({ how, upload, size, put, mode }) => {
    const plot = stage.plot(`${name} ${how} ${upload}`, size);
    const { context, ...asked } = mode.sse ?? { algorithm: 'AES256' };
    const { keyId } = asked;
    const told = {
      ...asked,
      ...(keyId === undefined ? {} : { keyId: expect.stringContaining(keyId) }),
      ...(mode.customerKey ? { customerKeyMd5: expect.any(String) } : {}),
    };
    expect(await put(plot, mode)).toMatchObject({ sse: told, seal: mode.seal, warnings: [] });
    const head = { Bucket: BUCKET, Key: plot.key, ...customerFields(mode) };
    const { ServerSideEncryption, SSECustomerAlgorithm } = await stage.s3.send(new HeadObjectCommand(head));
    expect(ServerSideEncryption ?? SSECustomerAlgorithm).toBe(asked.algorithm);
    await read(plot, mode);
  });

  test('sealed again and rewrapped', async () => {
    const plot = stage.plot(`${name} again`, SHORT);
    const { source, target: object } = plot;
    await stage.shared.put({ source, target: object, ...sizes, ...mode });
    await stage.shared.reseal({ object, ...sizes, customerKey: mode.customerKey });
    await read(plot, mode);
    await stage.shared.put({ source, target: object, format: 's3ec', partSize: PART_SIZE, overwrite: true, ...mode });
    await stage.shared.rewrap({ object, customerKey: mode.customerKey });
    await stage.shared.verify({ source: object, customerKey: mode.customerKey });
  });
});

test('sealed again and rewrapped from one key of the customer to another, to none, and back', async () => {
  const plot = stage.plot('keys', SHORT);
  const other = createSecretKey(Buffer.alloc(32, 'another'));
  const { source, target: object } = plot;
  await stage.shared.put({ source, target: object, ...sizes });
  const reseal = (keys = {}) => stage.shared.reseal({ object, ...sizes, ...keys });
  await reseal({ customerKey });
  await read(plot, { customerKey });
  await reseal({ oldCustomerKey: customerKey, customerKey: other });
  await read(plot, { customerKey: other });
  expect(await reseal({ oldCustomerKey: other })).toMatchObject({ sse: { algorithm: 'AES256' } });
  await read(plot, {});

  await stage.shared.put({ source, target: object, format: 's3ec', partSize: PART_SIZE, overwrite: true, customerKey });
  const rewrap = (keys = {}) => stage.shared.rewrap({ object, ...keys });
  await expect(rewrap()).rejects.toMatchObject({ code: 'sse-c-missing-key' });
  await rewrap({ oldCustomerKey: customerKey, customerKey: other });
  await stage.shared.verify({ source: object, customerKey: other });
  await rewrap({ oldCustomerKey: other });
  await stage.shared.verify({ source: object });
  await rewrap({ customerKey });
  await stage.shared.verify({ source: object, customerKey });
});

/** moto does not say of an upload that it has a bucket key. */
const UNCONFIRMED = 'kms, bucket key, multipart';
const WITHOUT_KEYS = Object.entries(MODES).filter(([, { customerKey }]) => customerKey === undefined);

test.skipIf(noMoto)(`on moto, what it can (skipped without moto ${MOTO_VERSION})`, { timeout: 60_000 }, async () => {
  const moto = await startMoto();
  const s3 = clientOf({ ...stage.sandbox, s3Url: moto.url });
  for (const variable of ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3']) vi.stubEnv(variable, moto.url);
  await using engine = stage.engine(stage.plot('moto', 0));
  try {
    await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
    const outcomes: Record<string, unknown> = {};
    const expected: Record<string, unknown> = {};
    for (const [name, mode] of WITHOUT_KEYS) {
      for (const [how, seal] of Object.entries(SEALS)) {
        for (const [upload, size] of Object.entries({ single: 1000, multipart: SHORT })) {
          const way = `${name}, ${upload}, ${how}`;
          const { source, target, back } = stage.plot(`moto ${way}`, size);
          const put = engine.put({ source, target, ...mode, ...seal });
          const get = () => engine.get({ source: target, target: back, seal: seal.seal });
          outcomes[way] = await put.then(get).then(
            ({ plainBytes }) => plainBytes,
            ({ code }) => code,
          );
          expected[way] = `${name}, ${upload}` === UNCONFIRMED ? 'encryption-mismatch' : size;
        }
      }
    }
    expect(outcomes).toEqual(expected);
  } finally {
    for (const [variable, value] of Object.entries(stage.sandbox.env)) vi.stubEnv(variable, value);
    s3.destroy();
    await moto.close();
  }
});
