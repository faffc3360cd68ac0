/**
 * Signed messages: however one comes about (in one request, in parts, resumed, out of a pipe), AWS's own client takes its
 * signature, and it is over the bytes that lie in the store.
 */
import { chmodSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import {
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MiB } from '../../src/units.ts';
import { changeQuietly, writeSparseFile } from '../support/files.ts';
import {
  attemptOf,
  ofType,
  openStage,
  PART_2_FAILS,
  PART_3_FAILS,
  PART_SIZE,
  type Plot,
  SIZE,
  type Stage,
} from '../support/stage.ts';

const official = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
/** The stage's own key. */
const officialKeyring = new RawAesKeyringNode({
  keyNamespace: 'test',
  keyName: 'story',
  unencryptedMasterKey: new Uint8Array(Buffer.alloc(32, 'wrapping key')),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  utf8Sorting: true,
});

const SIGNED = { partSize: PART_SIZE, frameSize: MiB, sign: true };
/** Three parts, of which the last is a byte. */
const SHORT = 2 * PART_SIZE + 1;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

/** Expects the object to be signed, and to be the source, by the word of the official client. */
async function expectSigned(plot: Plot): Promise<void> {
  const { plaintext, messageHeader } = await official.decrypt(officialKeyring, await stage.stored(plot));
  expect(messageHeader.suiteId).toBe(0x0578);
  expect(plaintext.equals(await readFile(plot.source))).toBe(true);
}

function sentParts(plot: Plot): (number | null)[] {
  const parts = stage.requests.filter(({ key, operation }) => key === plot.key && operation === 'UploadPart');
  return parts.map(({ partNumber }) => partNumber);
}

test.each([0, 1, MiB - 1, MiB, MiB + 1, SIZE])('%i bytes', async (size) => {
  const plot = stage.plot(`size-${size}`, size);
  const { result } = await stage.put(plot, SIGNED);
  expect(result).toMatchObject({ signed: true, sealedBytes: (await stage.stored(plot)).length });
  expect(await stage.shared.inspect(plot.target)).toMatchObject({ signed: true, plainBytes: size });
  await expectSigned(plot);
  await stage.expectEqual(plot);
});

test('of a pipe of several parts, and of one', async () => {
  for (const size of [SHORT, 1000]) {
    const plot = stage.plot(`pipe-${size}`, size);
    async function* source() {
      yield readFileSync(plot.source);
    }
    await stage.shared.put({ ...SIGNED, source: source(), target: plot.target });
    await expectSigned(plot);
  }
});

test('of parts in flight together, by jobs that share one thread and the memory of two lanes', async () => {
  const plots = ['a', 'b'].map((name) => stage.plot(`together-${name}`, SHORT));
  await using engine = stage.engine(plots[0]!, { threads: 1, lanes: 2, maxMemory: 222 * MiB });
  await Promise.all(plots.map(({ source, target }) => engine.put({ ...SIGNED, source, target })));
  for (const plot of plots) await expectSigned(plot);
});

describe('a resumed put', () => {
  test('hashes the kept part again, sends only the others, and signs', async () => {
    const plot = stage.plot('resumed', SHORT);
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', SIGNED);
    const { uploadId } = attemptOf(plot);
    const { result, events } = await stage.put(plot, SIGNED);
    expect(ofType(events, 'restart')).toEqual([]);
    expect(attemptOf(plot).uploadId).toBe(uploadId);
    expect(result.partsReused).toBe(1);
    expect(sentParts(plot)).toEqual([1, 2, 2, 3]);
    await expectSigned(plot);
  });

  test('sends the signature that was promised, whatever it signs anew', async () => {
    const plot = stage.plot('promised', SHORT);
    await stage.failedPut(plot, PART_3_FAILS.replace('500', 'lose-answer'), 'store-unavailable', SIGNED);
    const before = await stage.partEtags(plot, attemptOf(plot).uploadId!);
    // Compared with its intent, and sent again.
    chmodSync(plot.source, 0o600);
    await stage.failedPut(plot, 'CompleteMultipartUpload:*=500', 'store-unavailable', SIGNED);
    expect(await stage.partEtags(plot, attemptOf(plot).uploadId!)).toEqual(before);
    const { events } = await stage.put(plot, SIGNED);
    expect(ofType(events, 'restart')).toEqual([]);
    expect(sentParts(plot)).toEqual([1, 2, 3, 3]);
    await expectSigned(plot);
  });

  test('finds the object where only the answer to Complete was lost', async () => {
    const plot = stage.plot('answered', SHORT);
    const lost = 'CompleteMultipartUpload:*=lose-answer; HeadObject:2-3=500';
    await stage.failedPut(plot, lost, 'store-unavailable', SIGNED);
    const { result } = await stage.put(plot, SIGNED);
    expect(result).toMatchObject({ partsReused: 3, sealedBytes: (await stage.stored(plot)).length });
    await expectSigned(plot);
  });

  test.each([
    ['kept', PART_2_FAILS, 0],
    ['signed', PART_3_FAILS, 2],
  ])('starts over where a %s part has changed behind its times', async (name, faults, index) => {
    const plot = stage.plot(`changed-${name}`, SHORT);
    await stage.failedPut(plot, faults, 'store-unavailable', SIGNED);
    changeQuietly(plot.source, [index * PART_SIZE]);
    const before = attemptOf(plot);
    // All parts in flight: those behind the changed one wait for it to be hashed, and must hear that it never will be.
    await using engine = stage.engine(plot, { threads: 1, lanes: 3 });
    const { source, target } = plot;
    await engine.put({ ...SIGNED, source, target });
    expect(attemptOf(plot).message.messageId).not.toEqual(before.message.messageId);
    await expectSigned(plot);
  });
});

describe('refused', () => {
  test('parts too large to be held, which unsigned need not be', async () => {
    const plot = stage.plot('large', 0);
    writeSparseFile(plot.source, 401 * MiB);
    await using engine = stage.engine(plot, { maxMemory: 300 * MiB });
    const { source, target } = plot;
    await expect(engine.put({ source, target, partSize: 200 * MiB, sign: true })).rejects.toMatchObject({
      code: 'memory-too-small',
      hint: expect.stringContaining('without --sign'),
    });
    expect(engine.jobs().filter((job) => job.state === 'running' && job.target === target)).toEqual([]);
  });

  test('a context that names a public key itself, and an unfinished job that was not begun so', async () => {
    const plot = stage.plot('refused', SHORT);
    const context = { 'aws-crypto-public-key': 'mine' };
    await expect(stage.put(plot, { ...SIGNED, context })).rejects.toMatchObject({ code: 'bad-context' });
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
    await expect(stage.put(plot, SIGNED)).rejects.toMatchObject({ code: 'options-differ' });
  });
});

test('the signing key is nowhere in the state folder, but sealed', async () => {
  const plot = stage.plot('secret', SHORT);
  await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', SIGNED);
  const { signingKey = '' } = attemptOf(plot);
  // What an elliptic curve's key is known by, wherever one stands in plain.
  const secp384r1 = Buffer.from('06052b81040022', 'hex');
  const sealed = Buffer.from(signingKey, 'base64');
  expect(sealed.length).toBe(12 + 185 + 16);
  expect(sealed.includes(secp384r1)).toBe(false);
});
