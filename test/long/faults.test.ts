/**
 * Every fault of the language x every call of put, get and verify. Whatever strikes, there is the right object or an error
 * with a code; the same command without the fault leads to the right object; and every upload that is left is one that
 * the ledger knows of or the user was told of. What came of each is written down in faults.s3.txt and faults.kms.txt, so
 * that a change shows in review.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, ListMultipartUploadsCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createEngine, type Engine, type JobEvent, kmsKeyring, rawAesKeyring, SealiftError } from '../../src/index.ts';
import { jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { type Fault, STATUSES } from '../../src/sandbox/faults.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { GiB, KiB, MiB } from '../../src/units.ts';
import { clientOf } from '../sandbox/s3-client.ts';
import { writeRandomFile } from '../support/files.ts';

const KEY = 'object';
const PART_SIZE = 5 * MiB;

/** What strikes, for every kind there is. The errors of the service itself come by name. */
const EFFECTS: Record<Fault['kind'], string[]> = {
  status: ['500', '503'],
  reset: ['reset', 'reset@4KiB'],
  slow: ['slow@8MiB/s'],
  stall: ['stall', 'stall@50ms'],
  'lose-answer': ['lose-answer'],
  'error-in-200': ['error-in-200'],
  corrupt: ['corrupt'],
};

/** Once, so that trying again may mend it, and for good; what is an answer by its name alone, for good only. */
function timesOf(effect: string): string[] {
  return Object.hasOwn(STATUSES, effect) ? ['1-'] : ['1', '1-'];
}

/** A struck job that has not ended by then hangs: three attempts of one request, each silent for 30 s, twice over. */
const DEADLINE_MS = 300_000;

interface Story {
  /** Calls it makes, each of which is struck. */
  calls: string[];
  /** Its call of KMS, where it is played with KMS too. */
  kmsCall?: string;
  /** An object, or an unfinished put, has to be there before: what strikes while it is made. */
  before?: { faults: string };
  size: number;
  run(engine: Engine, names: Names, onEvent: (event: JobEvent) => void): Promise<unknown>;
}

interface Names {
  source: string;
  url: string;
  back: string;
}

const put: Story['run'] = (engine, { source, url }, onEvent) =>
  engine.put({ source, target: url, partSize: PART_SIZE, onEvent });

const UPLOAD = ['HeadObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'];
const SMALL = 100 * KiB;
const IN_PARTS = PART_SIZE + SMALL;

const STORIES: Record<string, Story> = {
  'put of a small file': {
    calls: ['HeadObject', 'PutObject'],
    kmsCall: 'GenerateDataKey',
    size: SMALL,
    run: put,
  },
  'put in parts': { calls: UPLOAD, size: IN_PARTS, run: put },
  'put that goes on': {
    calls: ['HeadObject', 'ListParts', 'UploadPart', 'CompleteMultipartUpload'],
    before: { faults: 'UploadPart(part=2):1-=AccessDenied' },
    size: IN_PARTS,
    run: put,
  },
  'put of a pipe': {
    calls: [...UPLOAD, 'AbortMultipartUpload'],
    size: IN_PARTS,
    run: (engine, { source, url }, onEvent) =>
      engine.put({ source: bytesOf(source), target: url, partSize: PART_SIZE, onEvent }),
  },
  get: {
    calls: ['HeadObject', 'GetObject'],
    before: { faults: '' },
    size: IN_PARTS,
    run: (engine, { url, back }, onEvent) => engine.get({ source: url, target: back, onEvent }),
  },
  'get of a range': {
    calls: ['HeadObject', 'GetObject'],
    before: { faults: '' },
    size: SMALL,
    run: (engine, { url }, onEvent) =>
      engine.get({ source: url, target: async () => {}, range: { first: 10, last: 50_000 }, onEvent }),
  },
  verify: {
    calls: ['HeadObject', 'GetObject'],
    kmsCall: 'Decrypt',
    before: { faults: '' },
    size: SMALL,
    run: (engine, { url }, onEvent) => engine.verify({ source: url, onEvent }),
  },
};

async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  yield readFileSync(path);
}

let sandbox: Sandbox;
let s3: S3Client;
const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const stateDir = join(folder, 'state');

beforeAll(async () => {
  sandbox = await startSandbox();
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  vi.stubEnv('AWS_MAX_ATTEMPTS', '3');
  s3 = clientOf(sandbox);
  for (const { size } of Object.values(STORIES)) writeRandomFile(join(folder, String(size)), size);
});
afterAll(async () => {
  s3.destroy();
  await sandbox.close();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

interface Cell {
  story: string;
  call: string;
  fault: string;
}

function cellsOf(service: 's3' | 'kms', calls: (story: Story) => string[]): Cell[] {
  const names = Object.keys(STATUSES).filter((name) => name.endsWith('Exception') === (service === 'kms'));
  const effects = [...Object.values(EFFECTS).flat(), ...names];
  return Object.entries(STORIES).flatMap(([story, about]) =>
    calls(about).flatMap((call) =>
      effects.flatMap((effect) => timesOf(effect).map((times) => ({ story, call, fault: `${times}=${effect}` }))),
    ),
  );
}

/**
 * A cell in a bucket of its own, with what came of it so far. What shares a bucket shares a connection's allowance of
 * requests made again, and what strikes one would tell on another.
 */
interface Scene extends Cell {
  bucket: string;
  names: Names;
  what: string;
  told: string[];
  outcome: string;
}

async function sceneOf(cell: Cell, bucket: string): Promise<Scene> {
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  const source = join(folder, String(STORIES[cell.story]!.size));
  const names = { source, url: `s3://${bucket}/${KEY}`, back: join(folder, bucket) };
  return { ...cell, bucket, names, what: `${cell.story}, ${cell.call}:${cell.fault}`, told: [], outcome: '' };
}

/** What is there before anything strikes. Expects what was told to strike now to do so. */
async function prepare({ story, names }: Scene, by: Engine): Promise<void> {
  const { before } = STORIES[story]!;
  if (!before) return;
  const { source, url } = names;
  const code = await by.put({ source, target: url, partSize: PART_SIZE }).then(
    () => '',
    (thrown) => thrown.code,
  );
  expect(code).toBe(before.faults === '' ? '' : 'access-denied');
}

/** Runs a story while its fault strikes. */
async function strike(scene: Scene, by: Engine): Promise<void> {
  const { story, names, told, bucket, what } = scene;
  const struck = STORIES[story]!.run(by, names, tellTo(told)).then(
    () => (told.length > 0 ? 'done, with warnings' : 'done'),
    (thrown: unknown) => (thrown instanceof SealiftError ? thrown.code : `not ours: ${thrown}`),
  );
  scene.outcome = await Promise.race([struck, sleep(DEADLINE_MS, 'hangs', { ref: false })]);
  expect.soft(scene.outcome, what).not.toMatch(/^(hangs|internal|not ours)/);
  expectAccounted(await uploadsOf(bucket), scene);
}

/** Runs it again, with nothing in its way: the object is right. */
async function mend(scene: Scene, by: Engine): Promise<void> {
  const { story, call, fault, names, told, bucket, what } = scene;
  if (!scene.outcome.startsWith('done')) {
    const code = await STORIES[story]!.run(by, names, tellTo(told)).then(
      () => 'done',
      (thrown) => thrown.code,
    );
    // A pipe that is not gone on with may have been written, and only its answer was lost.
    expect.soft(code, what).toMatch(story === 'put of a pipe' ? /^(done|target-exists)$/ : /^done$/);
  }
  const got = await by.get({ source: names.url, target: names.back, overwrite: true }).then(
    () => (readFileSync(names.back).equals(readFileSync(names.source)) ? 'right' : 'wrong'),
    (thrown) => thrown.code,
  );
  // A byte that a store turns after it has taken it shows when it is read.
  const isDamaged = fault.endsWith('=corrupt') && (call === 'PutObject' || call === 'UploadPart');
  expect.soft(got, what).toMatch(isDamaged ? /^(right|bad-frame|bad-header)$/ : /^right$/);
  if (got !== 'right') scene.outcome += ', and refused by get';
  expectAccounted(await uploadsOf(bucket), scene);
  rmSync(names.back, { force: true });
}

function tellTo(told: string[]): (event: JobEvent) => void {
  return (event) => void (event.type === 'warning' && told.push(event.message));
}

async function uploadsOf(bucket: string): Promise<string[]> {
  const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  return Uploads.map(({ UploadId }) => UploadId!);
}

/**
 * Uploads that are left are known to the ledger, were told, or are of a Create that the ledger knows was never answered.
 * An upload of which the store says that it is gone is nobody's.
 */
function expectAccounted(uploads: string[], { names: { source, url }, told, what }: Scene): void {
  if (/AbortMultipartUpload:.*NoSuch/.test(what)) return;
  const unknown = uploads.filter((id) => !told.some((message) => message.includes(id)));
  if (unknown.length === 0) return;
  const ids = [source, '-'].flatMap((from) => {
    try {
      using ledger = Ledger.open(stateDir, jobIdOf({ command: 'put', source: from, target: url }));
      const attempt = ledger.attempt();
      const isOpen = ledger.job.state === 'running' && attempt && !attempt.single;
      if (isOpen && attempt.uploadId === undefined) return unknown;
      return [attempt?.uploadId, ...ledger.lostAttempts().map(({ uploadId }) => uploadId)];
    } catch {
      return [];
    }
  });
  expect
    .soft(
      unknown.filter((id) => !ids.includes(id)),
      `uploads nobody knows of: ${what}`,
    )
    .toEqual([]);
}

/** One line for what came of a call, with all the faults that it came of. */
function tableOf(rows: readonly Scene[]): string {
  const groups = Map.groupBy(rows, ({ story, call, outcome }) => `${story} | ${call} | ${outcome}`);
  return [...groups].map(([about, cells]) => `${about} | ${cells.map(({ fault }) => fault).join(' ')}\n`).join('');
}

/** Calls `work` for each, so many at a time. */
async function forEach(scenes: readonly Scene[], work: (scene: Scene) => Promise<void>, { count }: { count: number }) {
  const waiting = [...scenes];
  const lane = async () => {
    for (let scene = waiting.shift(); scene; scene = waiting.shift()) await work(scene);
  };
  await Promise.all(Array.from({ length: count }, lane));
}

async function scenesOf(cells: readonly Cell[], name: string): Promise<Scene[]> {
  return await Promise.all(cells.map((cell, index) => sceneOf(cell, `${name}-${index}`)));
}

test('faults of S3', async () => {
  const scenes = await scenesOf(
    cellsOf('s3', ({ calls }) => calls),
    's3',
  );
  const keyring = rawAesKeyring({ namespace: 'test', name: 'faults', key: Buffer.alloc(32, 'wrapping key') });
  // Room for every job that is silent at one time.
  await using engine = createEngine({ keyring, stateDir, threads: 2, lanes: 64, maxMemory: 4 * GiB });
  for (const faults of new Set(scenes.map(({ story }) => STORIES[story]!.before?.faults ?? ''))) {
    sandbox.setFaults(faults);
    const those = scenes.filter(({ story }) => STORIES[story]!.before?.faults === faults);
    await forEach(those, (scene) => prepare(scene, engine), { count: 8 });
  }
  const faults = scenes.map(({ bucket, call, fault }) => {
    // Nothing is aborted unless something goes wrong before.
    const first = call === 'AbortMultipartUpload' ? `UploadPart(bucket=${bucket}):1-=AccessDenied; ` : '';
    return `${first}${call}(bucket=${bucket}):${fault}`;
  });
  sandbox.setFaults(faults.join('; '));
  // The silent ones first: they take longest.
  const silent = ({ fault }: Scene) => (fault.endsWith('=stall') ? 0 : 1);
  const inOrder = scenes.toSorted((a, b) => silent(a) - silent(b));
  await forEach(inOrder, (scene) => strike(scene, engine), { count: 48 });
  sandbox.setFaults('');
  await forEach(scenes, (scene) => mend(scene, engine), { count: 8 });
  await expect(tableOf(scenes)).toMatchFileSnapshot('faults.s3.txt');
});

test('faults of KMS', async () => {
  const keyring = kmsKeyring({ keyIds: [sandbox.kmsKeyId] });
  await using engine = createEngine({ keyring, keyReuse: 'off', stateDir, threads: 1, lanes: 2 });
  const scenes = await scenesOf(
    cellsOf('kms', ({ kmsCall }) => (kmsCall ? [kmsCall] : [])),
    'kms',
  );
  for (const scene of scenes) await prepare(scene, engine);
  // A fault of KMS strikes whoever asks: those that ask different things may ask at one time.
  for (const [fault, those] of Map.groupBy(scenes, (scene) => scene.fault)) {
    sandbox.setFaults(those.map(({ call }) => `${call}:${fault}`).join('; '));
    await Promise.all(those.map((scene) => strike(scene, engine)));
    sandbox.setFaults('');
    for (const scene of those) await mend(scene, engine);
  }
  await expect(tableOf(scenes)).toMatchFileSnapshot('faults.kms.txt');
});
