/**
 * Objects of the S3 Encryption Client, sealed in parts, out of order and resumed: their bytes and metadata open front to
 * back, as every reader opens them.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { kmsKeyring, multiKeyring } from '../../src/engine/keys.ts';
import { decodeHeader } from '../../src/formats/s3ec/header.ts';
import { checkCommitment, deriveObjectKeys, deriveVaultKey } from '../../src/formats/s3ec/keys.ts';
import { ObjectOpener } from '../../src/formats/s3ec/open-object.ts';
import type { PutRequest } from '../../src/index.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { s3ecCopy } from '../../src/keys/s3ec-wrapping.ts';
import { jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { Vault } from '../../src/put/vault.ts';
import { changeQuietly, writeSparseFile } from '../support/files.ts';
import {
  BUCKET,
  keyring,
  ofType,
  openStage,
  PART_2_FAILS,
  PART_3_FAILS,
  PART_SIZE,
  type Plot,
  SIZE,
  type Stage,
} from '../support/stage.ts';

const V3 = { partSize: PART_SIZE, format: 's3ec' as const };
const V2 = { ...V3, s3ecLegacy: true };

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

async function metadataOf({ key }: Plot): Promise<Record<string, string>> {
  const { Metadata } = await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key: key }));
  return Metadata!;
}

/** The object's keys, by its metadata alone. */
async function unlock(plot: Plot, ring: Keyring = keyring) {
  const header = decodeHeader(await metadataOf(plot));
  const { suite, messageId, wrapping, wrappedKey, description } = header;
  using dataKey = await ring.openDataKey({
    encryptionContext: description,
    contentAlgorithm: suite.contentAlgorithm,
    encryptedDataKeys: [s3ecCopy(wrapping.name, wrappedKey)],
  });
  const keys = deriveObjectKeys({ suite, dataKey: dataKey.bytes, messageId });
  checkCommitment(header, keys);
  return { header, keys, dataKey: Buffer.from(dataKey.bytes) };
}

async function expectOpens(plot: Plot, version: 2 | 3): Promise<void> {
  const { header, keys } = await unlock(plot);
  expect(header.version).toBe(version);
  const opener = new ObjectOpener(header, keys);
  const plain = Buffer.concat([...opener.push(await stage.stored(plot)), opener.finish()]);
  expect(plain.equals(readFileSync(plot.source))).toBe(true);
}

function sentParts(plot: Plot): (number | null)[] {
  const parts = stage.requests.filter(({ key, operation }) => key === plot.key && operation === 'UploadPart');
  return parts.map(({ partNumber }) => partNumber);
}

describe.each([
  [3, V3],
  [2, V2],
] as const)('version %i', (version, options) => {
  test.each([0, 1, 16, PART_SIZE, PART_SIZE + 16, SIZE])('%i bytes', async (size) => {
    const plot = stage.plot(`v${version}-${size}`, size);
    const { result } = await stage.put(plot, options);
    expect(result).toMatchObject({ plainBytes: size, sealedBytes: size + 16, parts: Math.ceil(size / PART_SIZE) || 1 });
    expect((await stage.stored(plot)).length).toBe(size + 16);
    await expectOpens(plot, version);
  });

  test('several lanes and threads, parts in whatever order they come', async () => {
    const plot = stage.plot(`v${version}-lanes`, 9 * PART_SIZE + 7);
    await using engine = stage.engine(plot, { threads: 2, lanes: 4 });
    await engine.put({ source: plot.source, target: plot.target, ...options });
    await expectOpens(plot, version);
  });

  test('resumed: what is there is kept, and its hashes come from the ledger', async () => {
    const plot = stage.plot(`v${version}-resumed`);
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', options);
    stage.requests.length = 0;
    const { result } = await stage.put(plot, options);
    expect(result.partsReused).toBe(1);
    expect(sentParts(plot)).toEqual([2, 3]);
    await expectOpens(plot, version);
  });

  test('resumed where only the last part is missing, whose tag the ledger has', async () => {
    const plot = stage.plot(`v${version}-last`);
    await stage.failedPut(plot, PART_3_FAILS, 'store-unavailable', options);
    stage.requests.length = 0;
    await stage.put(plot, options);
    expect(sentParts(plot)).toEqual([3]);
    await expectOpens(plot, version);
  });

  test('out of a pipe', async () => {
    const plot = stage.plot(`v${version}-pipe`);
    const source = (async function* () {
      yield readFileSync(plot.source);
    })();
    await stage.shared.put({ source, target: plot.target, ...options });
    await expectOpens(plot, version);
  });
});

test('a kept part whose source may have changed is compared, and starts the object over where it has', async () => {
  for (const [name, changed] of [
    ['same', false],
    ['changed', true],
  ] as const) {
    const plot = stage.plot(`doubtful-${name}`);
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', V3);
    const before = (await stage.uploadIds(plot))[0];
    if (changed) changeQuietly(plot.source, [99]);
    else changeQuietly(plot.source, []);
    const { events } = await stage.put(plot, V3);
    expect(ofType(events, 'restart').length).toBe(changed ? 1 : 0);
    expect(before).toBeDefined();
    await expectOpens(plot, 3);
  }
});

test('hashes of parts are in the ledger only sealed, each for its own part', async () => {
  const plot = stage.plot('hashes');
  await stage.put(plot, V3);
  const { header, keys, dataKey } = await unlock(plot);
  using ledger = Ledger.open(plot.stateDir, jobIdOf({ command: 'put', source: plot.source, target: plot.target }));
  ledger.unlock(keys.ledgerKey);
  const vault = new Vault(deriveVaultKey({ dataKey, messageId: header.messageId }));
  const intents = [...ledger.intents().values()];
  expect(intents.length).toBe(3);
  const hashes = intents.map(({ number, sealedHash }) =>
    vault.open(sealedHash!, Buffer.from(`hash of part ${number} of job ${ledger.job.id}`)),
  );
  expect(new Set(hashes.map((hash) => hash.toString('hex'))).size).toBe(3);
  const bytes = readFileSync(join(plot.stateDir, `${ledger.job.id}.db`));
  for (const hash of hashes) {
    expect(hash.length).toBe(16);
    expect(bytes.includes(hash)).toBe(false);
  }
  const corrupt = expect.objectContaining({ code: 'ledger-corrupt' });
  expect(() => vault.open(intents[0]!.sealedHash!, Buffer.from('hash of part 2'))).toThrow(corrupt);
});

test('version 3 reuses a data key under ids of its own, version 2 never does', async () => {
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => stage.plot(`reuse-${name}`, 10)) as [Plot, Plot, Plot, Plot];
  for (const plot of [a, b]) await stage.put(plot, V3);
  for (const plot of [c, d]) await stage.put(plot, V2);
  const [first, second, third, fourth] = await Promise.all([a, b, c, d].map((plot) => unlock(plot)));
  expect(first!.dataKey).toEqual(second!.dataKey);
  expect(first!.header.messageId).not.toEqual(second!.header.messageId);
  expect(third!.dataKey).not.toEqual(fourth!.dataKey);
});

test('KMS binds the context, which stands in the metadata with the algorithm', async () => {
  const plot = stage.plot('kms', 100);
  await using engine = stage.engine(plot, { keyring: kmsKeyring({ keyIds: ['alias/sandbox'] }) });
  const { source, target } = plot;
  const { kmsCalls } = await engine.put({ source, target, ...V3, context: { purpose: 'test' } });
  expect(kmsCalls).toBe(1);
  expect(await metadataOf(plot)).toMatchObject({
    'x-amz-w': '12',
    'x-amz-t': '{"purpose":"test","aws:x-amz-cek-alg":"115"}',
    'sealift-id': expect.any(String),
  });
});

describe('refused before anything is sent or asked', () => {
  async function expectRefused(request: Partial<PutRequest>, code: string, hint: string): Promise<void> {
    const plot = stage.plot(`refused-${code}-${Object.keys(request).join('-')}`, 100);
    stage.requests.length = 0;
    await expect(stage.put(plot, request)).rejects.toMatchObject({ code, hint: expect.stringContaining(hint) });
    expect(stage.requests.filter(({ operation }) => operation !== 'HeadObject')).toEqual([]);
    expect(stage.shared.jobs().filter(({ state }) => state === 'running')).toEqual([]);
  }

  test('signatures and frames, which the format has not, and its switch without it', async () => {
    await expectRefused({ ...V3, sign: true }, 'bad-option', '--format esdk');
    await expectRefused({ ...V3, frameSize: 1024 }, 'bad-option', '--format esdk');
    await expectRefused({ s3ecLegacy: true }, 'bad-option', '--format s3ec');
  });

  test("a context that nothing would bind, and the client's own names", async () => {
    await expectRefused({ ...V3, context: { a: 'b' } }, 'bad-context', '--kms-key');
    for (const name of ['aws:x-amz-cek-alg', 'kms_cmk_id']) {
      await expectRefused({ ...V3, context: { [name]: 'x' } }, 'bad-context', '--context');
    }
    await expectRefused({ ...V3, metadata: { 'x-amz-3': 'x' } }, 'bad-option', 'another name');
    await expectRefused({ ...V3, metadata: { 'X-Amz-Key': 'x' } }, 'bad-option', 'another name');
  });

  test('more than one GCM message holds, naming the other format', async () => {
    const plot = stage.plot('too large', 0);
    writeSparseFile(plot.source, 2 ** 36 - 31);
    stage.requests.length = 0;
    const refused = { code: 'too-large', hint: expect.stringContaining('--format esdk') };
    await expect(stage.put(plot, { format: 's3ec' })).rejects.toMatchObject(refused);
    expect(stage.requests).toEqual([]);
  });

  test('several wrapping keys', async () => {
    const plot = stage.plot('several', 10);
    const several = multiKeyring([kmsKeyring({ keyIds: ['alias/sandbox'] }), keyring]);
    await using engine = stage.engine(plot, { keyring: several });
    const { source, target } = plot;
    await expect(engine.put({ source, target, ...V3 })).rejects.toMatchObject({ code: 'bad-option' });
    expect(stage.operations(plot)).toEqual(['HeadObject']);
  });
});

test('a job goes on only in the format that it was begun in', async () => {
  const plot = stage.plot('other format');
  await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', V3);
  await expect(stage.put(plot, { partSize: PART_SIZE, format: 'esdk' })).rejects.toMatchObject({
    code: 'options-differ',
  });
  await expect(stage.put(plot, V2)).rejects.toMatchObject({ code: 'options-differ' });
  await stage.put(plot, { partSize: PART_SIZE });
  await expectOpens(plot, 3);
});
