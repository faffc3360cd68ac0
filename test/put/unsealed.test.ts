/**
 * `--seal none`: the bytes go up as they are, with all that is done for sealed ones but the seal; and nobody gets them by
 * mistake for what was sealed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { crc32 } from 'node:zlib';
import { CopyObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine.ts';
import { layoutOf } from '../../src/formats/s3ec/layout.ts';
import type { PutRequest } from '../../src/index.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import { BASE_SIZE, THREAD_SIZE } from '../../src/parts/memory.ts';
import { PipeReader } from '../../src/parts/pipe-reader.ts';
import { piecesOf } from '../../src/put/upload-pipe.ts';
import { MiB } from '../../src/units.ts';
import { changeQuietly } from '../support/files.ts';
import {
  BUCKET,
  ofType,
  openStage,
  PART_2_FAILS,
  PART_3_FAILS,
  PART_SIZE,
  type Plot,
  SIZE,
  type Stage,
} from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

const NONE = { seal: 'none', partSize: PART_SIZE } as const;

/** Gets the object into memory. */
async function bytesOf({ target: source }: Plot, range?: { first: number; last: number }): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const target = async (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes));
  await stage.shared.get({ source, target, range, seal: 'none' });
  return Buffer.concat(chunks);
}

describe('put', () => {
  test.each([
    ['empty', 0, ['HeadObject', 'PutObject', 'HeadObject']],
    ['small', 1000, ['HeadObject', 'PutObject', 'HeadObject']],
    [
      'of parts',
      SIZE,
      [
        'HeadObject',
        'CreateMultipartUpload',
        ...Array(3).fill('UploadPart'),
        'HeadObject',
        'CompleteMultipartUpload',
        'HeadObject',
      ],
    ],
  ])('a file, %s, is the object, marked, with its checksum, and without a key', async (name, size, operations) => {
    const plot = stage.plot(`plain ${name}`, size);
    await using engine = createEngine({ stateDir: plot.stateDir, threads: 1, lanes: 1 });
    const { source, target } = plot;
    const result = await engine.put({ source, target, ...NONE });
    const plain = readFileSync(source);
    expect(result).toMatchObject({ seal: 'none', plainBytes: size, sealedBytes: size, kmsCalls: 0, warnings: [] });
    expect(stage.operations(plot)).toEqual(operations);
    expect((await stage.stored(plot)).equals(plain)).toBe(true);
    const head = new HeadObjectCommand({ Bucket: BUCKET, Key: plot.key, ChecksumMode: 'ENABLED' });
    const { Metadata, ChecksumCRC32, ChecksumType } = await stage.s3.send(head);
    expect(Metadata).toMatchObject({
      'sealift-seal': 'none',
      'sealift-id': expect.any(String),
      mtime: expect.any(String),
    });
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc32(plain));
    expect({ ChecksumCRC32, ChecksumType }).toEqual({
      ChecksumCRC32: checksum.toString('base64'),
      ChecksumType: 'FULL_OBJECT',
    });
    expect((await bytesOf(plot)).equals(plain)).toBe(true);
  });

  test.each([
    ['format', { format: 'esdk' as const }],
    ['context', { context: { team: 'backup' } }],
    ['sign', { sign: true }],
    ['frame-size', { frameSize: 64 * 1024 }],
    ['s3ec-legacy', { s3ecLegacy: true }],
    ['instruction-file', { instructionFile: true }],
  ])('takes no --%s', async (flag, options) => {
    const plot = stage.plot(`plain with ${flag}`, 10);
    const put = stage.put(plot, { ...NONE, ...options });
    await expect(put).rejects.toMatchObject({ code: 'bad-option', message: expect.stringContaining(`--${flag} `) });
    expect(stage.operations(plot)).toEqual([]);
  });

  test('nobody writes the mark but Sealift', async () => {
    const plot = stage.plot('mark', 10);
    const put = stage.put(plot, { metadata: { 'sealift-seal': 'none' } });
    await expect(put).rejects.toMatchObject({ code: 'bad-option' });
    expect(stage.operations(plot)).toEqual([]);
  });

  test('an object is a source too: opened where it is sealed, and sealed where it is not', async () => {
    const [sealed, plain, again] = ['sealed source', 'plain of sealed', 'sealed of plain'].map((name) =>
      stage.plot(name, SIZE),
    );
    await stage.put(sealed!);
    const put = (source: string, target: string, how: object) => stage.shared.put({ source, target, ...how });
    expect(await put(sealed!.target, plain!.target, NONE)).toMatchObject({ seal: 'none', warnings: [] });
    expect((await stage.stored(plain!)).equals(readFileSync(sealed!.source))).toBe(true);
    await put(plain!.target, again!.target, { partSize: PART_SIZE });
    await stage.expectEqual({ ...again!, source: sealed!.source });
  });

  test('parts that memory cannot hold are read twice', async () => {
    const plot = stage.plot('plain large parts', 21 * MiB);
    // One thread, and 14 MiB for what it holds.
    const maxMemory = BASE_SIZE + THREAD_SIZE + 14 * MiB;
    await using engine = createEngine({ stateDir: plot.stateDir, threads: 1, maxMemory });
    const { source, target } = plot;
    await engine.put({ source, target, seal: 'none', partSize: 20 * MiB });
    expect((await stage.stored(plot)).equals(readFileSync(source))).toBe(true);
  });

  test('what exists is not replaced', async () => {
    const plot = stage.plot('plain there', 1000);
    await stage.put(plot, NONE);
    await expect(stage.put(plot, NONE)).rejects.toMatchObject({ code: 'target-exists' });
    await stage.put(plot, { ...NONE, overwrite: true });
  });
});

describe('resume', () => {
  test('sends what is missing, and no more', async () => {
    const plot = stage.plot('plain resumed');
    await stage.failedPut(plot, PART_3_FAILS, 'store-unavailable', NONE);
    const { result, events } = await stage.put(plot, NONE);
    expect(result).toMatchObject({ partsReused: 2, seal: 'none' });
    expect(ofType(events, 'part').map(({ kept }) => kept)).toEqual([true, true, false]);
    expect((await stage.stored(plot)).equals(readFileSync(plot.source))).toBe(true);
  });

  test('a part that is not what was promised starts the object over: no object is made of two versions', async () => {
    const plot = stage.plot('plain changed');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', NONE);
    changeQuietly(plot.source, [PART_SIZE + 5]);
    const { result, events } = await stage.put(plot, NONE);
    expect(ofType(events, 'restart')).toHaveLength(1);
    expect(result.partsReused).toBe(0);
    expect((await stage.stored(plot)).equals(readFileSync(plot.source))).toBe(true);
  });

  test('needs --seal none again, and takes it for no job that seals', async () => {
    const plot = stage.plot('plain or not');
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', NONE);
    const sealed = stage.put(plot);
    await expect(sealed).rejects.toMatchObject({
      code: 'options-differ',
      message: expect.stringContaining('with --seal none'),
    });
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', { partSize: PART_SIZE, fresh: true });
    const plain = stage.put(plot, NONE);
    await expect(plain).rejects.toMatchObject({
      code: 'options-differ',
      message: expect.stringContaining('without --seal none'),
    });
    await stage.put(plot);
    await stage.expectEqual(plot);
  });

  test('an object that arrived while its answer was lost is found', async () => {
    const plot = stage.plot('plain arrived');
    await stage.failedPut(plot, 'CompleteMultipartUpload:1=lose-answer; HeadObject:3-=500', 'store-unavailable', NONE);
    const { result } = await stage.put(plot, NONE);
    expect(result.partsReused).toBe(3);
    expect(stage.operations(plot).filter((operation) => operation === 'UploadPart')).toHaveLength(3);
  });
});

describe('read', () => {
  let plot: Plot;
  beforeAll(async () => {
    plot = stage.plot('plain read');
    await stage.put(plot, { ...NONE, storageClass: 'STANDARD_IA' });
  });

  test('without --seal none nothing of it is released', async () => {
    const { target: source, back } = plot;
    const refused = { code: 'object-unsealed', exit: 6, hint: expect.stringContaining('--seal none') };
    await expect(stage.shared.get({ source, target: back })).rejects.toMatchObject(refused);
    await expect(stage.shared.verify({ source })).rejects.toMatchObject(refused);
    await expect(stage.shared.reseal({ object: source })).rejects.toMatchObject(refused);
    const sink = async () => expect.unreachable();
    await expect(stage.shared.get({ source, target: sink })).rejects.toMatchObject(refused);
    expect(() => readFileSync(back)).toThrow('ENOENT');
  });

  test('whole, by range, into a file, verified', async () => {
    const plain = readFileSync(plot.source);
    const { target: source, back: target } = plot;
    expect((await bytesOf(plot)).equals(plain)).toBe(true);
    const range = { first: PART_SIZE - 3, last: PART_SIZE + 4 };
    expect((await bytesOf(plot, range)).equals(plain.subarray(range.first, range.last + 1))).toBe(true);
    const got = await stage.shared.get({ source, target, seal: 'none' });
    expect(got).toMatchObject({ seal: 'none', warnings: [] });
    expect(readFileSync(target).equals(plain)).toBe(true);
    await rm(target);
    const verified = await stage.shared.verify({ source, seal: 'none' });
    expect(verified).toMatchObject({ command: 'verify', seal: 'none', plainBytes: SIZE, warnings: [] });
  });

  test('with other bytes than its checksum it is refused, and no file has its name', async () => {
    const { target: source, back: target } = plot;
    for (const into of [target, undefined]) {
      stage.sandbox.setFaults('GetObject:1=corrupt@1000');
      const read = into
        ? stage.shared.get({ source, target: into, seal: 'none' })
        : stage.shared.verify({ source, seal: 'none' });
      await expect(read).rejects.toMatchObject({ code: 'checksum-mismatch', exit: 6 });
    }
    expect(() => readFileSync(target)).toThrow('ENOENT');
  });

  test('where the server keeps no checksum, that is said', async () => {
    const other = stage.plot('plain without checksum', 1000);
    const Metadata = { 'sealift-seal': 'none', 'sealift-id': 'somebody' };
    const object = { Bucket: BUCKET, Key: other.key, Body: readFileSync(other.source), Metadata };
    await stage.s3.send(new PutObjectCommand({ ...object, ChecksumAlgorithm: 'SHA256' }));
    const { warnings } = await stage.shared.verify({ source: other.target, seal: 'none' });
    expect(warnings).toEqual([expect.stringContaining('keeps no checksum')]);
  });

  test('an interrupted get keeps what it has', async () => {
    const { target: source } = plot;
    const target = join(stage.folder, 'plain got');
    stage.sandbox.setFaults('GetObject:2=AccessDenied');
    const get = () => stage.shared.get({ source, target, seal: 'none' });
    await expect(get()).rejects.toMatchObject({ code: 'access-denied' });
    stage.sandbox.setFaults('');
    expect(await get()).toMatchObject({ partsReused: 1 });
    expect(readFileSync(target).equals(readFileSync(plot.source))).toBe(true);
  });

  test.each([
    ['require-bound', { requireBound: true }],
    ['require-signature', { requireSignature: true }],
    ['expect-context', { expectContext: { team: 'backup' } }],
    ['required-context', { requiredContext: { team: 'backup' } }],
  ])('--%s is what only a seal can show', async (flag, demand) => {
    const verify = stage.shared.verify({ source: plot.target, seal: 'none', ...demand });
    await expect(verify).rejects.toMatchObject({ code: 'bad-option', message: expect.stringContaining(`--${flag} `) });
  });

  test('what is sealed is not taken for what is not, nor what others wrote', async () => {
    const sealed = stage.plot('sealed', 1000);
    await stage.put(sealed, {});
    const read = (source: string) => stage.shared.verify({ source, seal: 'none' });
    await expect(read(sealed.target)).rejects.toMatchObject({ code: 'bad-option' });
    const foreign = { Bucket: BUCKET, Key: 'foreign', CopySource: `${BUCKET}/${encodeURIComponent(plot.key)}` };
    await stage.s3.send(new CopyObjectCommand({ ...foreign, MetadataDirective: 'REPLACE', Metadata: {} }));
    await expect(read(`s3://${BUCKET}/foreign`)).rejects.toMatchObject({ code: 'not-sealed' });
  });

  test('inspect and ls say what it is', async () => {
    const inspection = await stage.shared.inspect(plot.target);
    expect(inspection).toMatchObject({
      format: 'none',
      needs: ['--seal none'],
      keys: [],
      plainBytes: SIZE,
      sealedBytes: SIZE,
      storageClass: 'STANDARD_IA',
    });
    for await (const listing of stage.shared.list(`s3://${BUCKET}/plain read`)) {
      expect(listing).toMatchObject({ state: 'unsealed', plainBytes: SIZE, sealedBytes: SIZE });
    }
  });
});

describe('pipe', () => {
  const silence = () => new Promise<never>(() => {});

  /** Gives so many bytes out of one buffer, as a reader of files does, and then what `end` does. */
  async function* streamOf(bytes: Uint8Array, end = async (): Promise<unknown> => undefined) {
    const buffer = new Uint8Array(700_001);
    for (let offset = 0; offset < bytes.length; offset += buffer.length) {
      const chunk = bytes.subarray(offset, offset + buffer.length);
      buffer.set(chunk);
      yield buffer.subarray(0, chunk.length);
      buffer.fill(0);
    }
    await end();
  }

  async function put(plot: Plot, source: AsyncIterable<Uint8Array>, request: Partial<PutRequest> = {}) {
    return await stage.shared.put({ source, target: plot.target, ...NONE, ...request });
  }

  /** Expects the put to fail so, and nothing of it to be left. */
  async function expectGone(plot: Plot, work: Promise<unknown>, error: Record<string, unknown>): Promise<void> {
    await expect(work).rejects.toMatchObject(error);
    expect(await stage.uploadIds(plot)).toEqual([]);
    await expect(stage.stored(plot)).rejects.toMatchObject({ name: 'NoSuchKey' });
    const id = jobIdOf({ command: 'put', source: '-', target: plot.target });
    expect(stage.shared.jobs().filter((job) => job.id === id && job.state === 'running')).toEqual([]);
  }

  test.each([
    ['empty', 0, 1],
    ['of a part', PART_SIZE, 1],
    ['of a part and a byte', PART_SIZE + 1, 2],
    ['of two parts', 2 * PART_SIZE, 2],
  ])('%s', async (name, size, parts) => {
    const plot = stage.plot(`plain pipe ${name}`, size);
    const bytes = readFileSync(plot.source);
    const result = await put(plot, streamOf(bytes));
    expect(result).toMatchObject({
      seal: 'none',
      plainBytes: size,
      sealedBytes: size,
      parts,
      kmsCalls: 0,
      warnings: [],
    });
    expect(stage.shared.job(result.job)).toMatchObject({ state: 'done', bytesDone: size, partsDone: parts });
    const sends = stage.operations(plot).filter((operation) => operation === 'UploadPart');
    expect(sends).toHaveLength(parts === 1 ? 0 : parts);
    expect((await stage.stored(plot)).equals(bytes)).toBe(true);
    await stage.shared.verify({ source: plot.target, seal: 'none' });
  });

  test('several parts at a time', async () => {
    const plot = stage.plot('plain wide pipe', 3 * PART_SIZE + 7);
    const bytes = readFileSync(plot.source);
    await using engine = createEngine({ stateDir: plot.stateDir, lanes: 2 });
    await engine.put({ source: streamOf(bytes), target: plot.target, ...NONE });
    expect((await stage.stored(plot)).equals(bytes)).toBe(true);
  });

  test.each([
    ['in its first part', 5],
    ['after two parts', 2 * PART_SIZE + 5],
  ])('that fails %s completes nothing', async (name, size) => {
    const plot = stage.plot(`plain failing ${name}`, size);
    const source = streamOf(readFileSync(plot.source), () => Promise.reject(new Error('disk on fire')));
    await expectGone(plot, put(plot, source), { code: 'source-failed', message: 'The source failed: disk on fire' });
  });

  test('that is silent when a part cannot be sent, or when it is stopped, is not waited for', async () => {
    const plot = stage.plot('plain silent', 3 * PART_SIZE + 5);
    const bytes = readFileSync(plot.source);
    const silent = Promise.withResolvers<void>();
    const waitedFor = () => {
      silent.resolve();
      return silence();
    };
    // One lane waits for the source when the other's part fails.
    stage.strike('UploadPart(part=2):*=500', () => silent.promise);
    const hint = expect.stringContaining('run the whole command again');
    await using engine = stage.engine(plot, { lanes: 2 });
    const work = engine.put({ source: streamOf(bytes, waitedFor), target: plot.target, ...NONE });
    await expectGone(plot, work, { code: 'store-unavailable', hint });
    stage.sandbox.setFaults('');
    const stop = new AbortController();
    const stopThen = () => {
      stop.abort();
      return silence();
    };
    const source = streamOf(bytes, stopThen);
    await expectGone(plot, put(plot, source, { signal: stop.signal }), { code: 'pipe-interrupted', exit: 1 });
  });

  test('is not completed where the signal comes with its end, as when Ctrl-C reaches its producer too', async () => {
    const plot = stage.plot('plain both', 5);
    const stop = new AbortController();
    const end = async () => void setImmediate(() => stop.abort());
    const work = put(plot, streamOf(readFileSync(plot.source), end), { signal: stop.signal });
    await expectGone(plot, work, { code: 'pipe-interrupted' });
  });

  test('does not take the place of an object that appears meanwhile', async () => {
    const plot = stage.plot('plain appeared', PART_SIZE + 5);
    stage.strike('UploadPart(part=1):1=slow@64MiB/s', async () => {
      await stage.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: plot.key, Body: 'theirs' }));
    });
    const work = put(plot, streamOf(readFileSync(plot.source)));
    await expect(work).rejects.toMatchObject({ code: 'target-exists' });
    expect((await stage.stored(plot)).toString()).toBe('theirs');
    expect(await stage.uploadIds(plot)).toEqual([]);
  });

  test('of more than an object can hold is refused, expected or not', async () => {
    const plot = stage.plot('plain long', 1);
    const work = put(plot, streamOf(new Uint8Array(1)), { expectedSize: 60 * 1024 ** 4, partSize: undefined });
    await expect(work).rejects.toMatchObject({ code: 'too-many-parts' });
    const longest = { format: 'plain' as const, layout: layoutOf({ plainSize: 3000, partSize: 1000 }) };
    const readAll = async (size: number) => {
      using reader = new PipeReader(streamOf(new Uint8Array(size)));
      let read = 0;
      for await (const piece of piecesOf(await reader.read(1000), reader, longest)) read += piece.length;
      return read;
    };
    expect(await readAll(3000)).toBe(3000);
    await expect(readAll(3001)).rejects.toMatchObject({ code: 'pipe-too-long' });
  });

  test('into a directory', async () => {
    const plot = stage.plot('plain pipe file', PART_SIZE + 5);
    const target = pathToFileURL(join(stage.folder, 'piped.bin')).href;
    await put({ ...plot, target }, streamOf(readFileSync(plot.source)));
    expect(readFileSync(new URL(target)).equals(readFileSync(plot.source))).toBe(true);
  });
});

test('in a directory it is a file with a mark beside it', async () => {
  const plot = stage.plot('plain file', 2 * PART_SIZE);
  const target = pathToFileURL(join(stage.folder, 'plain.bin')).href;
  await stage.shared.put({ source: plot.source, target, ...NONE });
  const plain = readFileSync(plot.source);
  expect(readFileSync(new URL(target)).equals(plain)).toBe(true);
  expect((await bytesOf({ ...plot, target })).equals(plain)).toBe(true);
  writeFileSync(new URL(target), 'something else');
  // Of another file the mark beside it says nothing.
  await expect(stage.shared.verify({ source: target, seal: 'none' })).rejects.toMatchObject({ code: 'not-sealed' });
});
