/**
 * What proves itself only as a whole, sealed again: signed messages and the S3 Encryption Client's objects. Nothing is sent
 * before all of it was proven, and nothing is sealed that is not what was proven then.
 */
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { planLayout as planEsdk } from '../../src/formats/esdk/plan.ts';
import { type Cut, plainRangeOf } from '../../src/formats/message.ts';
import { planLayout as planS3ec } from '../../src/formats/s3ec/layout.ts';
import type { PutRequest } from '../../src/index.ts';
import type { JobEvent } from '../../src/job.ts';
import { compareSource } from '../../src/parts/source.ts';
import type { ObjectPart } from '../../src/parts/task.ts';
import type { Attempt } from '../../src/put/attempt.ts';
import { sourceOfPart } from '../../src/put/source.ts';
import { DigestMaker } from '../../src/reseal/digests.ts';
import type { ResealOptions } from '../../src/reseal.ts';
import { KiB } from '../../src/units.ts';
import { BUCKET, ofType, openStage, PART_2_FAILS, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

/** Two parts, the last of them short. */
const SHORT = PART_SIZE + 1000;
/** Of which some lie in two parts. */
const FRAMES = { frameSize: 300 * KiB, headerSize: 400 };
const WRAPPING_KEY = Buffer.alloc(32, 'wrapping key');

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

interface Kind {
  name: string;
  /** How it is put; undefined where no version of ours ever wrote such objects. */
  how?: Partial<PutRequest>;
  /** What it takes to open it. */
  rules?: Partial<ResealOptions>;
  /** What the object is afterwards, and what is said of it. */
  becomes: { format: string; signed: boolean; messageVersion: number };
  warnings: string[];
  /** Requests for its bytes before it is read as a whole. */
  looks: number;
  damage: string;
}

const KINDS: Kind[] = [
  {
    name: 'a signed message',
    how: { sign: true },
    becomes: { format: 'esdk', signed: false, messageVersion: 2 },
    warnings: [expect.stringContaining('is signed, and the new object is not')],
    looks: 2,
    damage: 'bad-signature',
  },
  {
    name: 'an object of version 3',
    how: { format: 's3ec' },
    becomes: { format: 's3ec', signed: false, messageVersion: 3 },
    warnings: [],
    looks: 0,
    damage: 'bad-tag',
  },
  {
    name: 'an object of version 2',
    how: { format: 's3ec', s3ecLegacy: true },
    rules: { commitmentPolicy: 'require-encrypt-allow-decrypt' },
    becomes: { format: 's3ec', signed: false, messageVersion: 3 },
    warnings: [],
    looks: 0,
    damage: 'bad-tag',
  },
  {
    name: 'an object of version 1',
    rules: {
      commitmentPolicy: 'require-encrypt-allow-decrypt',
      enableLegacyWrappingAlgorithms: true,
      enableLegacyUnauthenticatedModes: true,
    },
    becomes: { format: 's3ec', signed: false, messageVersion: 3 },
    warnings: [],
    looks: 1,
    damage: 'truncated',
  },
];

async function stored(plot: Plot, { how }: Pick<Kind, 'how'>): Promise<Plot> {
  if (how) await stage.put(plot, { partSize: PART_SIZE, metadata: { color: 'blue' }, ...how });
  else await storeCbc(plot);
  return plot;
}

/** As the first clients wrote them: the data key under AES-ECB, the bytes under AES-CBC. */
async function storeCbc({ source, key: Key }: Plot): Promise<void> {
  const [dataKey, iv] = [randomBytes(32), randomBytes(16)];
  const wrap = createCipheriv('aes-256-ecb', WRAPPING_KEY, null);
  const seal = createCipheriv('aes-256-cbc', dataKey, iv);
  const Metadata = {
    color: 'blue',
    'x-amz-key': Buffer.concat([wrap.update(dataKey), wrap.final()]).toString('base64'),
    'x-amz-iv': iv.toString('base64'),
    'x-amz-matdesc': '{}',
  };
  const Body = Buffer.concat([seal.update(readFileSync(source)), seal.final()]);
  await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, Metadata }));
}

const metadataOf = async ({ key: Key }: Plot) =>
  (await stage.s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key }))).Metadata!;

const reseal = (plot: Plot, request: Partial<ResealOptions> = {}) =>
  stage.shared.reseal({ object: plot.target, partSize: PART_SIZE, ...request });

/** Writes of the plot's object, of any kind. */
const writesOf = (plot: Plot) => stage.operations(plot).filter((operation) => /^(Put|Create|Upload)/.test(operation));

describe.each(KINDS)('$name', (kind) => {
  const { rules, becomes, warnings, looks, damage } = kind;

  test.each([0, 16, SHORT])('of %i bytes: the same bytes and metadata, another key', async (size) => {
    const plot = await stored(stage.plot(`${kind.name} ${size}`, size), kind);
    const before = await metadataOf(plot);
    const result = await reseal(plot, rules);
    expect(result).toMatchObject({ command: 'reseal', plainBytes: size, warnings });
    expect(await stage.shared.inspect(plot.target)).toMatchObject(becomes);
    const after = await metadataOf(plot);
    expect(after).toMatchObject({ color: 'blue' });
    expect(after.mtime).toBe(before.mtime);
    expect(Object.keys(after)).not.toContain('x-amz-key');
    await stage.expectEqual(plot);
  });

  test('damaged at its end, it is refused before anything is sent', async () => {
    const plot = await stored(stage.plot(`${kind.name} damaged`, 1000), kind);
    const bytes = await stage.stored(plot);
    // Of AES-CBC the padding alone can show it: in the block before, what is changed is flipped in the last one.
    bytes[bytes.length - (kind.how ? 1 : 17)]! ^= 0x40;
    await stage.s3.send(
      new PutObjectCommand({ Bucket: BUCKET, Key: plot.key, Body: bytes, Metadata: await metadataOf(plot) }),
    );
    stage.requests.length = 0;
    await expect(reseal(plot, rules)).rejects.toMatchObject({ code: damage, exit: 6 });
    expect(writesOf(plot)).toEqual([]);
    expect(stage.shared.jobs().filter(({ state }) => state === 'running')).toEqual([]);
  });

  test('given otherwise the second time it is read, it is not sealed', async () => {
    const plot = await stored(stage.plot(`${kind.name} changed`, 1000), kind);
    const before = await stage.stored(plot);
    stage.requests.length = 0;
    stage.sandbox.setFaults(`GetObject(key=${plot.key}):${looks + 2}-=corrupt@100`);
    await expect(reseal(plot, rules)).rejects.toMatchObject({ code: kind.how?.sign ? 'bad-frame' : 'object-changed' });
    stage.sandbox.setFaults('');
    expect(writesOf(plot)).toEqual([]);
    expect((await stage.stored(plot)).equals(before)).toBe(true);
  });
});

describe('in parts', () => {
  const how = { format: 's3ec' as const };

  test('given otherwise the second time it is read, it is not sealed', async () => {
    const plot = await stored(stage.plot('changed', SHORT), { how });
    stage.requests.length = 0;
    stage.sandbox.setFaults('GetObject:2-=corrupt@100');
    await expect(reseal(plot)).rejects.toMatchObject({ code: 'object-changed' });
    expect(writesOf(plot)).toEqual(['CreateMultipartUpload']);
    expect(await stage.uploadIds(plot)).toEqual([]);
  });

  test('interrupted, it proves itself again, and goes on where it stopped', async () => {
    const plot = await stored(stage.plot('resumed', SHORT), { how });
    stage.sandbox.setFaults(PART_2_FAILS);
    await expect(reseal(plot)).rejects.toMatchObject({ code: 'store-unavailable' });
    stage.sandbox.setFaults('');
    const events: JobEvent[] = [];
    stage.requests.length = 0;
    const result = await reseal(plot, { onEvent: (event: JobEvent) => events.push(event) });
    expect(ofType(events, 'start')).toMatchObject([{ command: 'reseal', resumed: true }]);
    expect(ofType(events, 'proof').at(-1)).toMatchObject({ openedBytes: SHORT, totalBytes: SHORT });
    expect(result).toMatchObject({ parts: 2, partsReused: 1 });
    // All of it once more, and then the part that was missing.
    expect(stage.operations(plot).filter((operation) => operation === 'GetObject')).toHaveLength(2);
    await stage.expectEqual(plot);
  });
});

test('signed again, with --sign', async () => {
  const plot = await stored(stage.plot('signed', SHORT), { how: { sign: true } });
  expect(await reseal(plot, { sign: true, requireSignature: true })).toMatchObject({ signed: true, warnings: [] });
  expect(await stage.shared.verify({ source: plot.target, requireSignature: true })).toMatchObject({
    plainBytes: SHORT,
  });
  await stage.expectEqual(plot);
});

test.each<[string, Partial<PutRequest>, Partial<ResealOptions>]>([
  ['signed to s3ec', { sign: true }, { format: 's3ec' }],
  ['s3ec to frames of no whole block', { format: 's3ec' }, { format: 'esdk', frameSize: 4001 }],
  [
    's3ec to frames that lie in two parts',
    { format: 's3ec' },
    { format: 'esdk', equalParts: true, frameSize: 300 * KiB },
  ],
])('from one format to the other: %s', async (name, how, request) => {
  const plot = await stored(stage.plot(name, SHORT), { how });
  await reseal(plot, request);
  expect(await stage.shared.inspect(plot.target)).toMatchObject({ format: request.format });
  await stage.expectEqual(plot);
});

test('what opens it is no longer in an instruction file, which stays and is named', async () => {
  const plot = await stored(stage.plot('instructions', 1000), { how: { format: 's3ec', instructionFile: true } });
  const file = { ...plot, key: `${plot.key}.instruction` };
  const before = await stage.stored(file);
  const warnings = [expect.stringContaining(`${plot.target}.instruction stays behind`)];
  expect(await reseal(plot)).toMatchObject({ warnings });
  expect(await stage.shared.inspect(plot.target)).toMatchObject({ format: 's3ec', instructionFile: false });
  expect((await stage.stored(file)).equals(before)).toBe(true);
  await stage.expectEqual(plot);
});

test('digests are those of the parts, however the bytes come and wherever parts overlap', () => {
  const plain = randomBytes(3 * PART_SIZE);
  const cuts: Cut[] = [
    { format: 's3ec', layout: planS3ec({ plainSize: plain.length, partSize: PART_SIZE }) },
    { format: 'esdk', layout: planEsdk({ plainSize: plain.length, partSize: PART_SIZE, ...FRAMES, equalParts: true }) },
  ];
  for (const cut of cuts) {
    const maker = new DigestMaker(cut);
    for (let at = 0, size = 1; at < plain.length; at += size, size = 3 * size + 1) {
      maker.push(plain.subarray(at, at + size));
    }
    const digests = maker.finish();
    expect(digests.size).toBe(cut.layout.partCount);
    for (const [number, digest] of digests) {
      const { plainOffset, plainSize } = plainRangeOf(cut, number);
      const part = plain.subarray(plainOffset, plainOffset + plainSize);
      expect(digest).toEqual(createHash('sha256').update(part).digest());
    }
    const short = new DigestMaker(cut);
    short.push(plain.subarray(1));
    expect(() => short.finish()).toThrow(expect.objectContaining({ code: 'truncated' }));
  }
});

test('a part that nobody proved is not sent', async () => {
  const source = { object: {}, place: { credentials: async () => undefined } };
  const attempt = { source, digests: new Map([[1, Buffer.alloc(32)]]) } as unknown as Attempt;
  expect((await sourceOfPart(attempt, 1)) as ObjectPart).toHaveProperty('digest', Buffer.alloc(32));
  await expect(sourceOfPart(attempt, 2)).rejects.toThrow('Part 2 was not proven');
});

test('an object of another message is another object, whatever its ETag', () => {
  const planned = { url: 's3://bucket/a', size: 1, etag: '"same"', messageId: '01' };
  expect(compareSource(planned, planned)).toBe('same');
  expect(compareSource(planned, { ...planned, messageId: '02' })).toBe('changed');
});
