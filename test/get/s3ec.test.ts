/**
 * Objects of the S3 Encryption Clients, through the engine: what official clients wrote opens, found out by itself, and
 * nothing of what was changed comes out. One sandbox, whose KMS has the key those clients used.
 */
import { createHash, createPrivateKey, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { KmsKeyring } from '../../src/engine/keys.ts';
import { createEngine, type Engine, type EngineOptions } from '../../src/engine.ts';
import type { SealiftError } from '../../src/errors.ts';
import type { S3ecMessage } from '../../src/formats/message.ts';
import { encodeHeader } from '../../src/formats/s3ec/encode-header.ts';
import type { Fields, ObjectHeader } from '../../src/formats/s3ec/header.ts';
import { deriveObjectKeys, gcmMessageOf } from '../../src/formats/s3ec/keys.ts';
import { COMMITTING_SUITE } from '../../src/formats/s3ec/suites.ts';
import { WRAPPINGS } from '../../src/formats/s3ec/wrapping.ts';
import type { SealedObject } from '../../src/get/object.ts';
import { Proof } from '../../src/get/proof.ts';
import type { GetRequest } from '../../src/get.ts';
import type { Place } from '../../src/job.ts';
import type { WrappingKeyring } from '../../src/keys/keyring.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { rawRsaKeyring } from '../../src/keys/raw-rsa.ts';
import type { RequestRecord } from '../../src/sandbox/log.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { MiB } from '../../src/units.ts';
import { sealAtOnce } from '../formats/gcm-message.ts';
import { OFFICIAL_KEYS, OFFICIAL_KMS, OFFICIAL_OBJECTS, type OfficialObject } from '../formats/s3ec-official.ts';
import { clientOf } from '../sandbox/s3-client.ts';

const BUCKET = 'bucket';
const names = { namespace: 'test', name: 'key' };
const folder = mkdtempSync(join(tmpdir(), 'sealift-s3ec-get-'));
const cleanup = new AsyncDisposableStack();
const allowed = { commitmentPolicy: 'require-encrypt-allow-decrypt' } as const;
const aes = rawAesKeyring({ ...names, key: Buffer.from(OFFICIAL_KEYS.aes, 'base64') });
let sandbox: Sandbox;
let s3: ReturnType<typeof clientOf>;
let engines: Record<OfficialObject['wrapping'], Engine>;
let requests: RequestRecord[] = [];

beforeAll(async () => {
  cleanup.defer(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'kms.json'), JSON.stringify(OFFICIAL_KMS));
  sandbox = await startSandbox({ dir: folder, buckets: [BUCKET], onRequest: (record) => requests.push(record) });
  cleanup.defer(() => sandbox.close());
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  cleanup.defer(() => void vi.unstubAllEnvs());
  s3 = clientOf(sandbox);
  cleanup.defer(() => s3.destroy());
  const key = createPrivateKey({ key: Buffer.from(OFFICIAL_KEYS.rsaPrivate, 'base64'), format: 'der', type: 'pkcs8' });
  const privateKey = key.export({ type: 'pkcs8', format: 'pem' }) as string;
  engines = {
    kms: engineOf({ kms: { keyIds: [OFFICIAL_KEYS.kms] } }),
    aes: engineOf(aes),
    rsa: engineOf(rawRsaKeyring({ ...names, padding: 'oaep-sha256', privateKey })),
  };
  for (const [index, object] of OFFICIAL_OBJECTS.entries()) await store(`official/${index}`, object);
});

afterAll(() => cleanup.disposeAsync());

beforeEach(() => {
  requests = [];
});

function engineOf(keyring: WrappingKeyring | KmsKeyring, options: EngineOptions = {}): Engine {
  const engine = createEngine({ keyring, stateDir: join(folder, 'state'), threads: 1, lanes: 1, ...options });
  cleanup.defer(() => engine.close());
  return engine;
}

async function store(
  key: string,
  { metadata, body, instructions }: { metadata: Fields; body: Buffer; instructions?: Buffer | undefined },
): Promise<string> {
  const put = { Bucket: BUCKET, Key: key };
  await s3.send(new PutObjectCommand({ ...put, Body: body, Metadata: { ...metadata } }));
  if (instructions) await s3.send(new PutObjectCommand({ ...put, Key: `${key}.instruction`, Body: instructions }));
  return `s3://${BUCKET}/${key}`;
}

/** Gets into memory. What came before a failure is in `chunks`. */
async function open(engine: Engine, source: string, options: Partial<GetRequest> = {}, chunks: Buffer[] = []) {
  const target = async (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes));
  await engine.get({ source, ...allowed, ...options, target });
  return Buffer.concat(chunks);
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const officialAt = (wanted: Partial<OfficialObject>) =>
  OFFICIAL_OBJECTS.findIndex((object) =>
    Object.entries(wanted).every(([name, value]) => object[name as keyof OfficialObject] === value),
  );
let made = 0;

/** An object of several pieces, as we shall write them: version 3 under the AES key. */
async function madeObject(size: number) {
  const plain = randomBytes(size);
  const messageId = randomBytes(28);
  const suite = COMMITTING_SUITE;
  using materials = await aes.makeDataKey({ encryptionContext: {}, contentAlgorithm: suite.contentAlgorithm });
  const keys = deriveObjectKeys({ suite, dataKey: materials.dataKey.bytes, messageId });
  const { sealed, tag } = sealAtOnce(gcmMessageOf(suite, messageId, keys), plain);
  const header: ObjectHeader = {
    version: 3,
    suite,
    wrapping: WRAPPINGS.find(({ name }) => name === 'AES/GCM')!,
    wrappedKey: materials.encryptedDataKeys[0]!.ciphertext,
    messageId,
    commitment: keys.commitment,
    description: {},
  };
  const object = { metadata: encodeHeader(header), body: Buffer.concat([sealed, tag]) };
  return { plain, ...object, url: await store(`made/${made++}`, object) };
}

describe.each(['kms', 'aes', 'rsa'] as const)('what official clients wrote under %s', (wrapping) => {
  const objects = OFFICIAL_OBJECTS.flatMap((object, index) =>
    object.wrapping === wrapping ? [{ object, index }] : [],
  );

  test('opens, of whichever version and shape', async () => {
    expect(objects.length).toBeGreaterThan(20);
    for (const { object, index } of objects) {
      const plain = await open(engines[wrapping], `s3://${BUCKET}/official/${index}`);
      expect(sha256(plain), `${object.writer} ${object.format} ${object.shape}`).toBe(object.sha256);
    }
  });

  test('is shown with its size, and listed with it', async () => {
    for (const { object, index } of objects) {
      const shown = await engines[wrapping].inspect(`s3://${BUCKET}/official/${index}`);
      expect(shown).toMatchObject({
        format: 's3ec',
        messageVersion: object.format === 'v3' ? 3 : 2,
        plainBytes: object.body.length - 16,
        instructionFile: object.shape === 'instruction file',
        needs: object.format === 'v3' ? [] : ['--commitment-policy require-encrypt-allow-decrypt'],
      });
      expect(shown.encryptionContext).toMatchObject(wrapping === 'kms' ? object.context : {});
    }
  });
});

test('a listing has their sizes, and takes no instruction file for one', async () => {
  const sizes = new Map<string, number | null>();
  for await (const listing of engines.kms.list(`s3://${BUCKET}/official/`)) {
    if (listing.type === 'object')
      sizes.set(listing.object.replace(`s3://${BUCKET}/official/`, ''), listing.plainBytes);
  }
  for (const [index, { body }] of OFFICIAL_OBJECTS.entries()) expect(sizes.get(`${index}`)).toBe(body.length - 16);
  const fileAt = officialAt({ shape: 'instruction file' });
  expect(sizes.get(`${fileAt}.instruction`)).toBeNull();
});

describe('an object of several pieces', () => {
  const size = 8 * MiB + 5;
  let object: Awaited<ReturnType<typeof madeObject>>;
  beforeAll(async () => {
    object = await madeObject(size);
  });

  test('into a file: in parallel, and on from where it was stopped', async () => {
    const target = join(folder, 'several');
    const stop = new AbortController();
    const request = { source: object.url, target };
    const onEvent = ({ type }: { type: string }) => void (type === 'progress' && stop.abort());
    const interrupted = engines.aes.get({ ...request, signal: stop.signal, onEvent });
    await expect(interrupted).rejects.toMatchObject({ code: 'interrupted' });
    expect(existsSync(target)).toBe(false);
    const { partsReused, parts } = await engines.aes.get(request);
    expect(parts).toBe(2);
    expect(partsReused).toBeGreaterThan(0);
    expect(readFileSync(target).equals(object.plain)).toBe(true);
  });

  test('into a sink: opened once to prove it, and once to hand it on', async () => {
    const told: number[] = [];
    const onEvent: GetRequest['onEvent'] = (event) => void (event.type === 'proof' && told.push(event.openedBytes));
    expect((await open(engines.aes, object.url, { onEvent })).equals(object.plain)).toBe(true);
    expect([told.length, told.at(-1)]).toEqual([2, size]);
    const fetched = () => requests.filter(({ operation }) => operation === 'GetObject').length;
    await vi.waitFor(() => expect(fetched()).toBe(2 * 2 + 1));
    requests = [];
    expect((await open(engines.aes, object.url, { releaseUnverified: true })).equals(object.plain)).toBe(true);
    await vi.waitFor(() => expect(fetched()).toBe(2 + 1));
  });

  test('what came out unproven is never called verified', async () => {
    const request = { source: object.url, releaseUnverified: true };
    const full = () => Promise.reject(new Error('full'));
    const stop = new AbortController();
    const hang = () => {
      stop.abort();
      return new Promise<void>(() => {});
    };
    const once = new AbortController();
    const wrongs: GetRequest[] = [
      { ...request, target: full },
      { ...request, target: new WritableStream({ write: full }) },
      { ...request, target: new WritableStream({ write: hang }), signal: stop.signal },
      { ...request, target: async () => once.abort(), signal: once.signal },
    ];
    for (const wrong of wrongs) {
      const error: SealiftError = await engines.aes.get(wrong).catch((thrown) => thrown);
      expect(error.code).toMatch(/^(interrupted|target-failed)$/);
      expect(`${error.message} ${error.hint}`).not.toMatch(/\bverified/);
    }
  });

  test('verified, and nothing kept', async () => {
    expect(await engines.aes.verify({ source: object.url })).toMatchObject({ plainBytes: size, parts: 2 });
  });

  test('a range only as what it is', async () => {
    for (const [first, last] of [
      [0, 0],
      [15, 16],
      [8 * MiB - 1, 8 * MiB],
      [size - 1, size + 10],
    ] as const) {
      const request = { range: { first, last } };
      await expect(open(engines.aes, object.url, request)).rejects.toMatchObject({ code: 'unauthenticated' });
      const bytes = await open(engines.aes, object.url, { ...request, releaseUnverified: true });
      expect(bytes.equals(object.plain.subarray(first, last + 1))).toBe(true);
    }
  });

  test('with a bit changed: nothing comes out, nothing stays', async () => {
    const body = Buffer.from(object.body);
    body[8 * MiB]! ^= 1;
    const url = await store('changed', { ...object, body });
    const refused = { code: 'bad-tag', exit: 6 };
    const chunks: Buffer[] = [];
    await expect(open(engines.aes, url, {}, chunks)).rejects.toMatchObject(refused);
    expect(chunks.length).toBe(0);
    await expect(engines.aes.verify({ source: url })).rejects.toMatchObject(refused);
    const target = join(folder, 'changed');
    await expect(engines.aes.get({ source: url, target })).rejects.toMatchObject(refused);
    expect(readdirSync(folder).filter((name) => /^(changed|\.sealift)/.test(name))).toEqual([]);
    const told = { ...refused, message: expect.stringContaining(`after ${size} unverified bytes`) };
    await expect(open(engines.aes, url, { releaseUnverified: true })).rejects.toMatchObject(told);
  });

  test('whose piece is another the second time, under the same ETag: it does not come out', () => {
    const proof = new Proof({} as Place, {} as SealedObject, {} as S3ecMessage);
    const piece = { number: 1, firstUnit: 1, lastUnit: 1, plainOffset: 0, plainSize: 16 };
    const hash = randomBytes(16);
    proof.add(piece, hash);
    proof.add(piece, Buffer.from(hash));
    expect(() => proof.add(piece, randomBytes(16))).toThrow(expect.objectContaining({ code: 'bad-tag' }));
  });
});

describe('what was changed is refused', () => {
  const flip = (text: string) => {
    const bytes = Buffer.from(text, 'base64');
    bytes[0]! ^= 1;
    return bytes.toString('base64');
  };

  async function refusal(
    engine: Engine,
    object: { metadata: Fields; body: Buffer; instructions?: Buffer | undefined },
  ) {
    const url = await store(`refused/${made++}`, object);
    const chunks: Buffer[] = [];
    const code = await open(engine, url, {}, chunks).then(
      () => 'none',
      ({ code }) => code,
    );
    expect(chunks.length).toBe(0);
    return code;
  }

  test.each(['v2', 'v3'] as const)('each field of metadata %s, and each byte of the tag', async (format) => {
    const object = OFFICIAL_OBJECTS[officialAt({ format, wrapping: 'aes', shape: 'single', writer: 'Java 4.0.1' })]!;
    const { metadata, body } = object;
    for (const [name, value] of Object.entries(metadata)) {
      const { [name]: _left, ...without } = metadata;
      const changed = /^[A-Za-z0-9+/]{10,}=*$/.test(value) ? flip(value) : `${value}x`;
      const isFree = ['x-amz-matdesc', 'x-amz-m', 'x-amz-unencrypted-content-length'].includes(name);
      if (isFree) continue;
      expect(await refusal(engines.aes, { metadata: { ...metadata, [name]: changed }, body }), name).not.toBe('none');
      expect(await refusal(engines.aes, { metadata: without, body }), name).not.toBe('none');
    }
    for (let at = body.length - 16; at < body.length; at++) {
      const bytes = Buffer.from(body);
      bytes[at]! ^= 0x80;
      expect(await refusal(engines.aes, { metadata, body: bytes })).toBe('bad-tag');
    }
    expect(await refusal(engines.aes, { metadata, body: body.subarray(0, -1) })).toMatch(/bad-tag|truncated/);
    expect(await refusal(engines.aes, { metadata, body: Buffer.concat([body, Buffer.alloc(16)]) })).toBe('bad-tag');
    expect(await refusal(engines.aes, { metadata, body: body.subarray(0, 15) })).toBe('truncated');
  });

  test('metadata of two versions, and a suite that there is not', async () => {
    const { metadata, body } = OFFICIAL_OBJECTS[officialAt({ format: 'v3', wrapping: 'aes', shape: 'single' })]!;
    const old = OFFICIAL_OBJECTS[officialAt({ format: 'v2', wrapping: 'aes', shape: 'single' })]!;
    expect(await refusal(engines.aes, { metadata: { ...metadata, ...old.metadata }, body })).toBe('bad-header');
    for (const suite of ['114', '116', '0115', '']) {
      expect(await refusal(engines.aes, { metadata: { ...metadata, 'x-amz-c': suite }, body })).toBe('bad-header');
    }
  });

  test.each(['v2', 'v3'] as const)(
    'an instruction file of another object, none, and no instructions: %s',
    async (format) => {
      const [one, other] = OFFICIAL_OBJECTS.filter(
        (object) => object.format === format && object.wrapping === 'aes' && object.shape === 'instruction file',
      );
      const swapped = await refusal(engines.aes, { ...one!, instructions: other!.instructions });
      expect(swapped).toBe(format === 'v3' ? 'bad-header' : 'bad-tag');
      expect(await refusal(engines.aes, { ...one!, instructions: undefined })).toMatch(
        format === 'v3' ? /bad-header/ : /not-sealed|bad-header/,
      );
      const noise = { ...one!, instructions: Buffer.from('{"x": 1}') };
      expect(await refusal(engines.aes, noise)).toMatch(format === 'v3' ? /bad-header/ : /not-sealed|bad-header/);
    },
  );

  test('under another key', async () => {
    const index = officialAt({ wrapping: 'aes' });
    const other = engineOf(rawAesKeyring({ ...names, key: randomBytes(32) }));
    await expect(open(other, `s3://${BUCKET}/official/${index}`)).rejects.toMatchObject({ code: 'wrong-key' });
  });
});

describe('what is demanded', () => {
  const index = officialAt({ wrapping: 'kms', format: 'v2', shape: 'single' });
  const source = `s3://${BUCKET}/official/${index}`;

  test('the context, before KMS is asked', async () => {
    const { context } = OFFICIAL_OBJECTS[index]!;
    expect(sha256(await open(engines.kms, source, { expectContext: context }))).toBe(OFFICIAL_OBJECTS[index]!.sha256);
    requests = [];
    const wrong = { code: 'context-mismatch' };
    await expect(open(engines.kms, source, { expectContext: { year: '1999' } })).rejects.toMatchObject(wrong);
    await expect(open(engines.kms, source, { requiredContext: { other: 'x' } })).rejects.toMatchObject(wrong);
    const bare = `s3://${BUCKET}/official/${officialAt({ wrapping: 'aes' })}`;
    await expect(open(engines.aes, bare, { expectContext: { year: '2026' } })).rejects.toMatchObject(wrong);
    expect(requests.some(({ operation }) => operation === 'Decrypt')).toBe(false);
  });

  test('a commitment, unless told otherwise', async () => {
    const refused = { code: 'commitment-policy', hint: expect.stringContaining('require-encrypt-allow-decrypt') };
    await expect(open(engines.kms, source, { commitmentPolicy: undefined })).rejects.toMatchObject(refused);
  });

  test('a name or a signature, which nothing of this format has', async () => {
    await expect(open(engines.kms, source, { requireBound: true })).rejects.toMatchObject({ code: 'object-unbound' });
    const signed = open(engines.kms, source, { requireSignature: true });
    await expect(signed).rejects.toMatchObject({ code: 'object-unsigned' });
  });

  test('the algorithm that KMS made the key for', async () => {
    const { metadata, body } = OFFICIAL_OBJECTS[index]!;
    const description = JSON.stringify({ ...JSON.parse(metadata['x-amz-matdesc']!), 'aws:x-amz-cek-alg': '115' });
    const url = await store('relabelled', { metadata: { ...metadata, 'x-amz-matdesc': description }, body });
    await expect(open(engines.kms, url)).rejects.toMatchObject({ code: 'bad-header' });
  });
});
