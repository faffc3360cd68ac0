/** Streams as targets of a get, Node's and the Web's: all bytes, no faster than they are taken, and no silent end. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { GetRequest } from '../../src/get.ts';
import { MiB } from '../../src/units.ts';
import { sha256Of } from '../support/files.ts';
import { BUCKET, openStage, type Plot, type Stage } from '../support/stage.ts';

const PIECE_SIZE = 8 * MiB;
const SIZE = 3 * PIECE_SIZE + 1;

let stage: Stage;
let plot: Plot;
let hash: string;
beforeAll(async () => {
  stage = await openStage();
  plot = stage.plot('streams', SIZE);
  hash = await sha256Of(plot.source);
  await stage.put(plot, {});
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

type Target = Exclude<GetRequest['target'], string>;

const get = (target: Target, request: Partial<GetRequest> = {}) =>
  stage.shared.get({ source: plot.target, target, ...request });

/** Resolves to the error of a get that must fail. */
const failed = (target: Target, request?: Partial<GetRequest>) =>
  get(target, request).then(
    () => expect.unreachable('it was to fail'),
    (error: unknown) => error,
  );

/** Everything that a stream gives, as a hash. */
async function hashOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const sum = createHash('sha256');
  for await (const chunk of chunks) sum.update(chunk);
  return sum.digest('hex');
}

/** A target of each kind whose bytes come out of `bytes` again, held back until they are asked for. */
const kinds: [name: string, make: () => { target: Target; bytes: AsyncIterable<Uint8Array> }][] = [
  [
    'a Node stream',
    () => {
      const through = new PassThrough();
      return { target: through, bytes: through };
    },
  ],
  [
    'a Web stream',
    () => {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      return { target: writable, bytes: readable };
    },
  ],
];

describe.each(kinds)('%s', (_name, make) => {
  test('takes all bytes, and is ended', async () => {
    const { target, bytes } = make();
    const [result, sum] = await Promise.all([get(target), hashOf(bytes)]);
    expect(result.plainBytes).toBe(SIZE);
    expect(sum).toBe(hash);
  });

  test('takes a range', async () => {
    const { target, bytes } = make();
    const got = Readable.from(bytes).toArray();
    await get(target, { range: { first: 10, last: 19 } });
    expect(Buffer.concat(await got).equals((await readFile(plot.source)).subarray(10, 20))).toBe(true);
  });

  test('that nobody reads is not run over, and an abort ends the wait with all that came said', async () => {
    const stop = new AbortController();
    const { target, bytes } = make();
    const getting = failed(target, { signal: stop.signal });
    const iterator = bytes[Symbol.asyncIterator]();
    const first = await iterator.next();
    expect(first.value.length).toBeLessThanOrEqual(MiB);
    // Who gives the second has heard that the first was taken.
    await iterator.next();
    stop.abort();
    expect(await getting).toMatchObject({
      code: 'interrupted',
      message: expect.stringMatching(/^Interrupted after [1-9]\d{5,6} verified bytes were written out$/),
    });
    await expect(iterator.next().then(() => iterator.next())).rejects.toMatchObject({ code: 'interrupted' });
  });

  test('ends with the error of the job, and so never looks whole', async () => {
    const { target, bytes } = make();
    stage.sandbox.setFaults('GetObject:2-=AccessDenied');
    const [error, read] = await Promise.all([failed(target), hashOf(bytes).catch((thrown: unknown) => thrown)]);
    expect(error).toMatchObject({ code: 'access-denied' });
    expect(read).toBe(error);
  });
});

/** Targets of each kind that take whatever comes at once, and keep it. */
const keepers: [name: string, make: (keep: (bytes: Uint8Array) => void) => Target][] = [
  [
    'a Node stream',
    (keep) =>
      new Writable({
        highWaterMark: 2 * SIZE,
        write(bytes, _encoding, done) {
          keep(bytes);
          done();
        },
      }),
  ],
  ['a Web stream', (keep) => new WritableStream({ write: keep })],
];

test.each(keepers)('%s finds unchanged what it keeps until the end', async (_name, make) => {
  const kept: Uint8Array[] = [];
  await get(make((bytes) => void kept.push(bytes)));
  expect(await hashOf(Readable.from(kept))).toBe(hash);
});

describe('a target that fails', () => {
  const full = new Error('the tape is full');
  /** Takes one MiB and no more. */
  const limited = () => {
    let taken = 0;
    return (chunk: Uint8Array) => {
      if (taken === MiB) throw full;
      taken += chunk.length;
    };
  };
  const targets: [name: string, target: () => Target, message: RegExp][] = [
    [
      'a Node stream',
      () => {
        const take = limited();
        const write: NonNullable<ConstructorParameters<typeof Writable>[0]>['write'] = (chunk, _encoding, done) => {
          try {
            take(chunk);
            done();
          } catch (error) {
            done(error as Error);
          }
        };
        return new Writable({ write });
      },
      /^The target failed: the tape is full, after \d+ verified bytes were written out$/,
    ],
    [
      'a Web stream',
      () => new WritableStream({ write: limited() }),
      /^The target failed: the tape is full, after 1048576 verified bytes were written out$/,
    ],
    [
      'a Web stream, at its very end',
      () => new WritableStream({ close: () => Promise.reject(full) }),
      new RegExp(`^The target failed: the tape is full, after ${SIZE} verified bytes were written out$`),
    ],
    ['a function', () => () => Promise.reject(full), /^The target failed: the tape is full$/],
  ];

  test.each(targets)('ends the job, and is told with what it has: %s', async (_name, target, message) => {
    const error = await failed(target());
    expect(error).toMatchObject({
      code: 'target-failed',
      exit: 1,
      message: expect.stringMatching(message),
      cause: full,
    });
  });

  test('while S3 is waited for ends the job at once', async () => {
    const target = new PassThrough();
    stage.strike('GetObject:2-=stall', () => void target.destroy());
    expect(await failed(target)).toMatchObject({ code: 'target-failed' });
  });

  test.each<[string, () => unknown]>([
    ['destroyed', () => new PassThrough().destroy()],
    ['ended', () => new PassThrough().end()],
    ['a readable one', () => Readable.from([])],
    ['locked', () => new WritableStream({ start() {} })],
    ['a number', () => 42],
  ])('before anything was asked for is refused: %s', async (_name, make) => {
    const target = make() as Target;
    if (target instanceof WritableStream) target.getWriter();
    const key = 'never-asked-for';
    const source = `s3://${BUCKET}/${key}`;
    expect(await failed(target, { source })).toMatchObject({ code: 'bad-option', exit: 2 });
    expect(stage.operations({ ...plot, key })).toEqual([]);
  });
});

describe('a source', () => {
  const others: [name: string, source: unknown][] = [
    ['a number', 42],
    ['nothing', undefined],
    ['bytes', Buffer.from('bytes')],
    ['a blob', new Blob(['bytes'])],
  ];

  test.each(others)('that is neither path nor stream is refused, and told what to give: %s', async (_name, source) => {
    const refusal = { code: 'bad-option', exit: 2, hint: expect.stringContaining('blob.stream()') };
    const put = { source: source as Readable, target: `s3://${BUCKET}/none` };
    await expect(stage.shared.put(put)).rejects.toMatchObject(refusal);
    const target = new PassThrough();
    expect(await failed(target, { source: source as Readable })).toMatchObject(refusal);
    expect(target.destroyed).toBe(true);
  });

  test('may be what a Blob or a Web stream gives', async () => {
    const target = `s3://${BUCKET}/blob`;
    await stage.shared.put({ source: new Blob(['of ', 'a blob']).stream(), target });
    expect(await new Response(stage.shared.open({ source: target })).text()).toBe('of a blob');
  });

  test('a stream that fails without a word is told all the same', async () => {
    const source = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error() });
    const target = `s3://${BUCKET}/none`;
    await expect(stage.shared.put({ source, target })).rejects.toMatchObject({ code: 'source-failed' });
    const again = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error() });
    expect(await failed(new PassThrough(), { source: again })).toMatchObject({ code: 'source-failed' });
  });

  test('of words, not bytes, is told what it should be', async () => {
    const refusal = { code: 'source-failed', hint: expect.stringContaining('without an encoding') };
    const words = () => Readable.from(['words']).setEncoding('utf8');
    await expect(stage.shared.put({ source: words(), target: `s3://${BUCKET}/none` })).rejects.toMatchObject(refusal);
    expect(await failed(new PassThrough(), { source: words() })).toMatchObject(refusal);
  });

  test('as a path is taken from the folder of the process', async () => {
    const source = relative(process.cwd(), plot.source);
    const target = relative(process.cwd(), plot.back);
    await stage.shared.put({ source, target: plot.target, overwrite: true });
    const { job } = await stage.shared.get({ source: plot.target, target });
    expect(await sha256Of(plot.back)).toBe(hash);
    expect(stage.shared.job(job)).toMatchObject({ target: plot.back });
  });
});

test('what makes no sense is refused with a code, also where no compiler looked', async () => {
  const nothing = undefined as unknown as string;
  const { shared } = stage;
  const calls = [
    () => shared.put({ source: plot.source, target: nothing }),
    () => shared.get({ source: plot.target, target: nothing }),
    () => shared.inspect(42 as unknown as string),
    () => shared.cancel('put-none'),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ name: 'SealiftError', exit: 2 });
});

test('an engine that is closed says so', async () => {
  const engine = stage.engine(plot);
  await engine.close();
  const closed = { code: 'usage', message: 'The engine is closed' };
  await expect(engine.put({ source: plot.source, target: plot.target })).rejects.toMatchObject(closed);
  await expect(new Response(engine.open({ source: plot.target })).bytes()).rejects.toMatchObject(closed);
  await expect(engine.list(plot.target).next()).rejects.toMatchObject(closed);
});

test('a signal that has aborted before ends every call, and nothing was sent', async () => {
  const signal = AbortSignal.abort();
  const target = `s3://${BUCKET}/aborted`;
  const { shared } = stage;
  const calls = [
    () => shared.put({ source: plot.source, target, signal }),
    () => shared.put({ source: Readable.from([Buffer.from('x')]), target, signal }),
    () => shared.get({ source: plot.target, target: join(stage.folder, 'aborted'), signal }),
    () => shared.get({ source: plot.target, target: new PassThrough(), signal }),
    () => shared.inspect(plot.target, { signal }),
  ];
  for (const call of calls) {
    await expect(call()).rejects.toMatchObject({ code: expect.stringMatching(/^(pipe-)?interrupted$/) });
  }
  expect(stage.operations({ ...plot, key: 'aborted' }).filter((name) => name !== 'HeadObject')).toEqual([]);
});

describe('open', () => {
  test('gives a stream of the plain bytes, whole or in part', async () => {
    expect(await hashOf(stage.shared.open({ source: plot.target }))).toBe(hash);
    const part = stage.shared.open({ source: plot.target, range: { first: SIZE - 5, last: SIZE } });
    expect((await new Response(part).bytes()).length).toBe(5);
  });

  test('ends its job once nobody reads it any more', async () => {
    const ended = new Promise<void>((resolve) => {
      const { get } = stage.shared;
      vi.spyOn(stage.shared, 'get').mockImplementationOnce((request) =>
        get.call(stage.shared, request).finally(resolve),
      );
    });
    for await (const chunk of stage.shared.open({ source: plot.target })) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await ended;
  });

  test('fails with the error of the job', async () => {
    const stream = stage.shared.open({ source: `${plot.target}-none` });
    await expect(hashOf(stream)).rejects.toMatchObject({ name: 'SealiftError', code: 'object-not-found' });
  });
});
