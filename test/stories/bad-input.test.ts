/**
 * What cannot be done as asked, told before anything is touched: no request leaves, no job is made, no file appears.
 * The rest of bad input has files of its own beside this one: source, store, keys, object, stranger, target, ledger, signals.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { EngineOptions, GetRequest, PutRequest } from '../../src/index.ts';
import { GiB, KiB, MiB, TiB } from '../../src/units.ts';
import { writeSparseFile } from '../support/files.ts';
import { type Act, failureOf, refusal, Scene } from './scene.ts';

const requests: string[] = [];
let scene: Scene;
let act: Act;
beforeAll(async () => {
  scene = await Scene.open({ onRequest: ({ operation }) => requests.push(operation) });
  act = await scene.act();
  writeFileSync(act.path('file'), 'content');
  requests.length = 0;
});
afterEach(async () => {
  scene.calm();
  const left = await act.left();
  requests.length = 0;
  expect(left).toEqual({ objects: [], uploads: 0, jobs: 0, files: ['file'] });
});
afterAll(() => scene.close());

describe('put', () => {
  const cases: [what: string, code: string, remedy: RegExp, request: Partial<PutRequest>, options?: EngineOptions][] = [
    ['parts smaller than S3 takes', 'bad-size', /5 MiB to/, { partSize: 5 * MiB - 1 }],
    ['parts larger than S3 takes', 'bad-size', /5 MiB to/, { partSize: 6 * GiB }],
    ['frames too small', 'bad-size', /256 KiB/, { frameSize: 17 }],
    ['frames too large', 'bad-size', /256 KiB/, { frameSize: GiB }],
    ['a context with a name of ours', 'bad-context', /--context/, { context: { 'sealift-name': '1' } }],
    ['a context with a name of AWS', 'bad-context', /--context/, { context: { 'aws-crypto-x': '1' } }],
    ['a context too large', 'bad-context', /--context/, { context: { long: 'x'.repeat(70_000) } }],
    ['metadata of a name of ours', 'bad-option', /another name/, { metadata: { mtime: '0' } }],
    ['another URL', 'bad-url', /s3:\/\/bucket\/key/, { target: 'https://bucket/key' }],
    ['a URL without a key', 'bad-url', /s3:\/\/bucket\/key/, { target: 's3://bucket' }],
    ['a bucket that can be none', 'bad-url', /s3:\/\/bucket\/key/, { target: 's3://a/key' }],
    ['a key too long', 'bad-url', /s3:\/\/bucket\/key/, { target: `s3://bucket/${'k'.repeat(1025)}` }],
    ['no key', 'no-key', /--kms-key.*--raw-key/, {}, { keyring: undefined }],
  ];

  test.each(cases)('%s', async (_what, code, remedy, request, options) => {
    await using engine = act.engine(options);
    const told = await refusal(engine.put({ source: act.path('file'), target: act.url('x'), ...request }));
    expect(told).toMatchObject({ code, exit: 2, hint: expect.stringMatching(remedy) });
    expect(requests.filter((operation) => operation !== 'HeadObject' && operation !== 'HeadBucket')).toEqual([]);
  });

  test.each<[what: string, code: string, remedy: RegExp, size: number, options: Partial<PutRequest>]>([
    ['more parts than S3 takes', 'too-many-parts', /least --part-size/, 60 * GiB, { partSize: 5 * MiB }],
    ['more frames than a message has', 'too-many-frames', /least --frame-size/, 5 * TiB, { frameSize: KiB }],
  ])('%s', async (_what, code, remedy, size, options) => {
    const elsewhere = await scene.act();
    writeSparseFile(elsewhere.path('huge'), size);
    requests.length = 0;
    await using engine = elsewhere.engine();
    const told = await refusal(engine.put({ source: elsewhere.path('huge'), target: elsewhere.url('x'), ...options }));
    expect(told).toMatchObject({ code, exit: 2, hint: expect.stringMatching(remedy) });
    expect(requests).toEqual([]);
    expect(await elsewhere.left()).toEqual({ objects: [], uploads: 0, jobs: 0, files: ['huge'] });
  });

  test('less memory than one part needs', async () => {
    const tooSmall = async () => {
      await using engine = act.engine({ maxMemory: 64 * MiB });
      await engine.put({ source: act.path('file'), target: act.url('x') });
    };
    const told = await refusal(tooSmall());
    expect(told).toMatchObject({
      code: 'memory-too-small',
      exit: 2,
      hint: expect.stringMatching(/--max-memory \d+MiB/),
    });
    expect(requests).toEqual([]);
  });
});

describe('get', () => {
  test.each<[what: string, code: string, request: Partial<GetRequest>]>([
    ['another URL', 'bad-url', { source: 'https://bucket/key' }],
    ['a folder for a target', 'target-unwritable', { target: '/' }],
  ])('%s', async (_what, code, request) => {
    await using engine = act.engine();
    const told = await refusal(engine.get({ source: act.url('x'), target: act.path('back'), ...request }));
    expect(told).toMatchObject({ code });
    expect(requests).toEqual([]);
  });

  test('bytes behind the end', async () => {
    const elsewhere = await scene.act();
    await using engine = elsewhere.engine();
    await engine.put({ source: act.path('file'), target: elsewhere.url('x') });
    const request = { source: elsewhere.url('x'), target: elsewhere.path('back'), range: { first: 7, last: 9 } };
    const told = await refusal(engine.get(request));
    expect(told).toMatchObject({ code: 'bad-range', exit: 2, message: expect.stringContaining('7 plain bytes') });
    expect(told.hint).toMatch(/count from 0/);
    expect((await elsewhere.left()).files).toEqual([]);
  });
});

describe('an endpoint without TLS', () => {
  test('of S3: not one request, unless that is allowed', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_S3', 'http://198.51.100.7');
    await using engine = act.engine();
    const told = await refusal(engine.put({ source: act.path('file'), target: act.url('x') }));
    expect(told).toMatchObject({ code: 'plain-http', exit: 2, message: expect.stringContaining('198.51.100.7') });
    expect(told.hint).toMatch(/https.*--allow-http/);
  });

  test('as a process: the same words, and exit 2', async () => {
    const args = ['put', 'file', act.url('x'), '--kms-key', 'alias/sandbox', '--json'];
    const told = failureOf(await act.run(args, { env: { AWS_ENDPOINT_URL_KMS: 'http://198.51.100.7' } }));
    expect(told).toMatchObject({ code: 'plain-http', exit: 2 });
    expect(requests.filter((operation) => !operation.startsWith('Head'))).toEqual([]);
  });

  test('that is no URL', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_S3', 'localhost:9000');
    await using engine = act.engine();
    const told = await refusal(engine.inspect(act.url('x')));
    expect(told).toMatchObject({ code: 'bad-option', exit: 2, hint: expect.stringMatching(/AWS_ENDPOINT_URL_S3/) });
  });
});

test('no Region', async () => {
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE']) vi.stubEnv(name, undefined);
  for (const name of ['AWS_SHARED_CREDENTIALS_FILE', 'AWS_CONFIG_FILE']) vi.stubEnv(name, '/nowhere');
  await using engine = act.engine();
  const told = await refusal(engine.put({ source: act.path('file'), target: act.url('x') }));
  expect(told).toMatchObject({ code: 'no-region', exit: 2, hint: expect.stringMatching(/AWS_REGION/) });
  expect(requests).toEqual([]);
});
