/** A whole bench against a sandbox: what it tells is of this machine, and nothing of what it wrote is left. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, ListObjectVersionsCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BenchEvent, BenchRequest } from '../../src/bench/api.ts';
import { BenchObjects } from '../../src/bench/objects.ts';
import { bench } from '../../src/bench.ts';
import { programFor } from '../../src/cli/main.ts';
import { Output } from '../../src/cli/output.ts';
import type { EngineOptions } from '../../src/engine/api.ts';
import { SealiftError } from '../../src/errors.ts';
import type { Keyring } from '../../src/keys/keyring.ts';
import { MiB } from '../../src/units.ts';
import { BUCKET, keyring, openStage, PART_SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;
let folder: string;
let events: BenchEvent[];

beforeAll(async () => {
  stage = await openStage();
  folder = join(stage.folder, 'bench');
  mkdirSync(folder);
});

afterAll(() => stage.close());

beforeEach(() => {
  events = [];
});

/** As short as it can be: one thread, one lane, one part size. */
async function run(url: string, changes: Partial<BenchRequest> = {}, options: EngineOptions = {}) {
  using objects = await BenchObjects.under(url, {});
  const request: BenchRequest = {
    seconds: 1,
    folder,
    fixed: { threads: 1, lanes: 2, partSize: PART_SIZE },
    isSandbox: false,
    onEvent: (event) => events.push(event),
    ...changes,
  };
  return await bench(request, { objects, engine: async (work) => stage.engine(work, { ...work, ...options }) });
}

function rejectingKeyring(error: SealiftError): Keyring {
  const refuse = () => Promise.reject(error);
  return { id: 'refused', makeDataKey: refuse, openDataKey: refuse };
}

/** The stage's, that tells of each data key it is to make. */
function keyringThat(onKey: () => void): Keyring {
  return {
    id: keyring.id,
    makeDataKey(request) {
      onKey();
      return keyring.makeDataKey(request);
    },
    openDataKey: (request) => keyring.openDataKey(request),
  };
}

async function expectNothingLeft() {
  const listed = await stage.s3.send(new ListObjectVersionsCommand({ Bucket: BUCKET }));
  const { Versions = [], DeleteMarkers = [] } = listed;
  const { Uploads = [] } = await stage.s3.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }));
  expect([...Versions, ...DeleteMarkers, ...Uploads].map(({ Key }) => Key)).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
  expect(events.filter(({ type }) => type === 'warning')).toEqual([]);
}

describe('a bench', () => {
  test('says what it will write before it does, and has measured what it tells', async () => {
    let keyCount = 0;
    const counting = keyringThat(() => keyCount++);
    const result = await run(`s3://${BUCKET}/some/place`, {}, { keyring: counting });
    const [first] = events;
    expect(first).toMatchObject({ type: 'bench', prefix: result.target.prefix });
    expect(result.target.prefix).toMatch(new RegExp(`^s3://${BUCKET}/some/place/sealift-bench-[0-9a-f]{8}/$`));
    expect(result.best).toMatchObject({ threads: 1, lanes: 2, partSize: PART_SIZE, allGiven: true });
    expect(result.best.flags).toBe('--part-size 5MiB --threads 1 --lanes 2');
    expect(events.filter(({ type }) => type === 'round').length).toBe(result.rounds.length);
    for (const { bytes, seconds, bytesPerSecond, busy } of result.rounds) {
      expect(bytes).toBeGreaterThanOrEqual(32 * MiB);
      expect(bytesPerSecond).toBe(bytes / seconds);
      expect(busy >= 0 && busy <= 1).toBe(true);
    }
    // The byte, what starts each round's threads, and each put have a data key of their own.
    expect(keyCount).toBe(1 + result.rounds.length + result.rounds.filter(({ command }) => command === 'put').length);
    for (const profile of [result.put, result.get]) {
      expect(profile.progress.at(-1)!.bytes).toBe(profile.bytes);
      expect(profile.partSeconds.length).toBe(profile.progress.length - 1);
      expect(profile.stages.network).toBeGreaterThan(0);
    }
    await expectNothingLeft();
  });

  test('that is interrupted in the middle of its second upload leaves nothing, where versions are kept', async () => {
    const VersioningConfiguration = { Status: 'Enabled' as const };
    await stage.s3.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration }));
    const stop = new AbortController();
    stage.strike('UploadPart(part=3):2=500', () => stop.abort());
    await expect(run(`s3://${BUCKET}`, { signal: stop.signal })).rejects.toMatchObject({ code: 'interrupted' });
    await expectNothingLeft();
  });

  test('that the store fails, with an object there, leaves nothing', async () => {
    stage.sandbox.setFaults('GetObject:*=500');
    await expect(run(`s3://${BUCKET}`)).rejects.toMatchObject({ code: 'store-unavailable' });
    stage.sandbox.setFaults('');
    await expectNothingLeft();
  });

  test('refuses what it cannot measure before it writes anything', async () => {
    await expect(run('file:///tmp')).rejects.toMatchObject({ code: 'bad-url' });
    await expect(run('s3://nobody-made-this')).rejects.toMatchObject({ code: 'bucket-not-found' });
    const nowhere = run(`s3://${BUCKET}`, { folder: join(folder, 'no') });
    await expect(nowhere).rejects.toMatchObject({ code: 'target-unwritable' });
    const refused = rejectingKeyring(new SealiftError('kms-key-not-found', 'No such key'));
    await expect(run(`s3://${BUCKET}`, {}, { keyring: refused })).rejects.toMatchObject({ code: 'kms-key-not-found' });
    expect(events).toEqual([]);
    await expectNothingLeft();
    const report = join(stage.folder, 'report.html');
    writeFileSync(report, 'an older one');
    const command = (file: string) =>
      programFor(new Output({})).parseAsync(['bench', '--report', file], { from: 'user' });
    await expect(command(report)).rejects.toMatchObject({ code: 'target-exists' });
    const settings = programFor(new Output({})).parseAsync(['bench', '--part-size', '1MiB'], { from: 'user' });
    await expect(settings).rejects.toMatchObject({ code: 'bad-size' });
    await expect(command(join(stage.folder, 'no', 'report.html'))).rejects.toMatchObject({ code: 'target-unwritable' });
  });
});
