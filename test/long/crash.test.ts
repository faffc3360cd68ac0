/**
 * `kill -9` at random moments of a put over HTTPS, then `resume`: the object must be equal, no more than the parts in
 * flight may be sent again, and no nonce may ever have sealed two plaintexts.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatSize, GiB, MiB } from '../../src/units.ts';
import {
  type Line,
  type LogEntry,
  type Outcome,
  run,
  type SandboxProcess,
  start,
  startSandboxProcess,
} from '../support/cli.ts';
import { changeQuietly, setRoundTimes, sha256Of, writeRandomFile } from '../support/files.ts';
import { hasJava, JAVA_BUILD_MS, JavaClient, OPENED_BY_JAVA } from '../support/java-client.ts';
import { checkRecords } from '../support/records.ts';

const KILL_COUNT = Number(process.env.SEALIFT_KILLS ?? 50);
const DISASTER_COUNT = Math.ceil(KILL_COUNT / 10);
const S3EC_COUNT = Math.ceil((KILL_COUNT * 3) / 5);
const SIZE = Number(process.env.SEALIFT_KILL_SIZE ?? GiB);
const PART_SIZE = 8 * MiB;
const LANE_COUNT = 4;
const UNSEALED = ['--seal', 'none'];

let folder: string;
let source: string;
let hash: string;
let sandbox: SandboxProcess;
let java: JavaClient | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-crash-'));
  source = join(folder, 'source.bin');
  writeRandomFile(source, SIZE);
  setRoundTimes(source);
  hash = await sha256Of(source);
  sandbox = await startSandboxProcess(['--https', '--bucket', 'bkt'], join(folder, 'requests.log'));
  if (hasJava) java = new JavaClient(sandbox.env);
}, JAVA_BUILD_MS);

afterAll(async () => {
  java?.close();
  await sandbox?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Case {
  state: string;
  records: string;
  key: string;
  target: string;
  /** Of its put, beyond those that all have. */
  flags: string[];
}

function newCase(name: string, flags: string[] = []): Case {
  const state = join(folder, `state-${name}`);
  const records = join(folder, `records-${name}`);
  mkdirSync(records);
  return { state, records, key: `crash/${name}`, target: `s3://bkt/crash/${name}`, flags };
}

function putArgs(one: Case): string[] {
  const { state, target, flags } = one;
  const keys = isUnsealed(one) ? [] : ['--kms-key', sandbox.kmsKeyId];
  return ['put', source, target, ...keys, ...flags, '--lanes', String(LANE_COUNT), '--state-dir', state, '--json'];
}

/** Starts a put, kills it some time after `ackedParts` parts were acknowledged, and says how many were by then. */
async function killedPut(one: Case, { ackedParts, delayMs }: { ackedParts: number; delayMs: number }): Promise<number> {
  const running = start(putArgs(one), { env: sandbox.env, records: one.records });
  await running.until(
    ({ type, ackedBytes }) => type === 'progress' && (ackedBytes as number) >= ackedParts * PART_SIZE,
  );
  await sleep(delayMs);
  running.child.kill('SIGKILL');
  const { lines } = await running.ended;
  const acked = lines.filter(({ type }) => type === 'progress').map(({ ackedBytes }) => ackedBytes as number);
  return Math.max(...acked) / PART_SIZE;
}

async function checkEqual(one: Case): Promise<void> {
  if (java && isS3ec(one)) {
    expect(await java.sha256Of({ bucket: 'bkt', key: one.key, size: SIZE, kmsKeyId: sandbox.kmsKeyId })).toBe(hash);
  }
  const back = join(folder, 'back.bin');
  const seal = isUnsealed(one) ? UNSEALED : [];
  const got = await run(['get', one.target, back, ...seal, '--state-dir', one.state, '--json'], { env: sandbox.env });
  expect(got.last).toMatchObject({ type: 'result', plainBytes: SIZE });
  expect(await sha256Of(back)).toBe(hash);
  rmSync(back);
  // A hundred of them would fill a disk.
  await withClient((client) => client.send(new DeleteObjectCommand({ Bucket: 'bkt', Key: one.key })));
}

function isS3ec({ flags }: Case): boolean {
  return flags.includes('s3ec');
}

function isUnsealed({ flags }: Case): boolean {
  return flags === UNSEALED;
}

/** Each frame is sealed by a call of its own, or of one GCM message each part. Returns how many calls sealed. */
function checkNonces(one: Case): number {
  const { calls, violations } = checkRecords(one.records);
  if (isUnsealed(one)) expect(calls).toBe(0);
  else expect(calls).toBeGreaterThan(SIZE / (isS3ec(one) ? PART_SIZE : 256 * 1024) - 1);
  expect(violations).toEqual([]);
  return calls;
}

/** Part bytes of the case's object the sandbox received, whole or not, beyond the object's own. */
function bytesAgain({ key }: Case): number {
  const parts = sandbox.log().filter((entry) => entry.key === key && entry.operation === 'UploadPart');
  const whole = new Map<number, number>();
  for (const { partNumber, bytesIn, status } of parts) if (status === 200) whole.set(partNumber!, bytesIn);
  const needed = [...whole.values()].reduce((sum, size) => sum + size, 0);
  return parts.reduce((sum, { bytesIn }) => sum + bytesIn, 0) - needed;
}

describe(`kill -9 of a ${SIZE / MiB} MiB put`, () => {
  test.each([
    { kind: 'plain', count: KILL_COUNT, flags: [] },
    { kind: 'signed', count: DISASTER_COUNT, flags: ['--sign'] },
    { kind: 'in equal parts', count: DISASTER_COUNT, flags: ['--equal-parts'] },
    { kind: `s3ec, ${OPENED_BY_JAVA}`, count: S3EC_COUNT, flags: ['--format', 's3ec'] },
    { kind: 'not sealed', count: DISASTER_COUNT, flags: UNSEALED },
  ])('$count random moments, $kind', async ({ kind, count, flags }) => {
    const again: number[] = [];
    let calls = 0;
    for (let index = 0; index < count; index++) {
      const one = newCase(`${kind}-${index}`, flags);
      const ackedParts = await killedPut(one, randomMoment());
      const resumed = await resume(one);
      expect(resumed.last!.partsReused).toBeGreaterThanOrEqual(ackedParts);
      again.push(bytesAgain(one));
      expect(again.at(-1)).toBeLessThanOrEqual(LANE_COUNT * (PART_SIZE + MiB));
      await checkEqual(one);
      calls += checkNonces(one);
    }
    const [most, all] = [Math.max(...again), again.reduce((sum, size) => sum + size, 0)].map(formatSize);
    console.log(
      `${count} kills, ${kind}: sent again ${all} in all, ${most} at most; ${calls} calls sealed, none amiss`,
    );
  });

  test('the ledger torn: its log cut at a random byte', async () => {
    for (let index = 0; index < DISASTER_COUNT; index++) {
      const one = newCase(`torn-${index}`);
      await killedPut(one, randomMoment());
      const wal = `${ledgerOf(one)}-wal`;
      truncateSync(wal, Math.floor(statSync(wal).size * (0.5 + Math.random() / 2)));
      await again(one);
      await checkEqual(one);
      checkNonces(one);
    }
  });

  test('the ledger replaced by an older copy, and the source changed with its mtime set back', async () => {
    for (let index = 0; index < DISASTER_COUNT; index++) {
      const one = newCase(`older-${index}`);
      const running = start(putArgs(one), { env: sandbox.env, records: one.records });
      await running.until(ackedAtLeast(2));
      const copies = copyLedger(one);
      await running.until(ackedAtLeast(10));
      running.child.kill('SIGKILL');
      await running.ended;
      // In place: the files keep their inodes, as a restore by rsync would.
      for (const [path, bytes] of copies) writeFileSync(path, bytes);
      await withChangedSource(async () => {
        await again(one);
        await checkEqual(one);
      });
      checkNonces(one);
    }
  });

  test('the upload aborted behind our back', async () => {
    for (let index = 0; index < DISASTER_COUNT; index++) {
      const one = newCase(`aborted-${index}`);
      await killedPut(one, randomMoment());
      await abortUploads(one.key);
      const resumed = await again(one);
      expect(resumed.last!.partsReused).toBe(0);
      expect(resumed.lines.map(({ type }) => type)).toContain('restart');
      await checkEqual(one);
      checkNonces(one);
    }
  });
});

describe('answers lost', () => {
  const KINDS = {
    CompleteMultipartUpload: SIZE,
    PutObject: MiB,
    CreateMultipartUpload: SIZE,
    UploadPart: SIZE,
    HeadObject: SIZE,
    GenerateDataKey: SIZE,
  };

  for (const [operation, size] of Object.entries(KINDS)) {
    test(`${operation}: its first answer is lost`, async () => {
      const one = newCase(`lost-${operation}`);
      const small = join(folder, `lost-${operation}.bin`);
      writeRandomFile(small, size);
      const faulty = await startSandboxProcess(
        ['--https', '--bucket', 'bkt', '--faults', `${operation}:1=lose-answer`],
        join(folder, `lost-${operation}.log`),
      );
      try {
        const args = ['put', small, one.target, '--kms-key', faulty.kmsKeyId, '--state-dir', one.state, '--json'];
        const put = await run(args, { env: faulty.env, records: one.records });
        expect(put.last, put.stderr).toMatchObject({ type: 'result', plainBytes: size });
        const back = join(folder, 'back.bin');
        await run(['get', one.target, back, '--state-dir', one.state], { env: faulty.env });
        expect(await sha256Of(back)).toBe(await sha256Of(small));
        rmSync(back);
        expect(checkRecords(one.records).violations).toEqual([]);
      } finally {
        await faulty.stop();
        rmSync(small);
      }
    });
  }

  test('killed between an instruction file and its object: resume writes both', async () => {
    for (const [operation, size] of [
      ['CompleteMultipartUpload', SIZE],
      ['PutObject', MiB],
    ] as const) {
      const one = newCase(`file-${operation}`);
      const small = join(folder, `file-${operation}.bin`);
      writeRandomFile(small, size);
      const logFile = join(folder, `file-${operation}.log`);
      const faults = `${operation}(key=${one.key}):1=stall`;
      const faulty = await startSandboxProcess(['--https', '--bucket', 'bkt', '--faults', faults], logFile);
      try {
        const common = ['--state-dir', one.state, '--json'];
        const format = ['--format', 's3ec', '--instruction-file'];
        const args = ['put', small, one.target, '--kms-key', faulty.kmsKeyId, ...format, ...common];
        const put = start(args, { env: faulty.env, records: one.records });
        const isWritten = ({ key, operation }: LogEntry) =>
          key === `${one.key}.instruction` && operation === 'PutObject';
        while (!faulty.log().some(isWritten)) await sleep(20);
        put.child.kill('SIGKILL');
        await put.ended;
        const resumed = await run(['resume', ...common], { env: faulty.env, records: one.records });
        expect(resumed.last, resumed.stderr).toMatchObject({ type: 'result', plainBytes: size });
        const back = join(folder, 'back.bin');
        await run(['get', one.target, back, ...common], { env: faulty.env });
        expect(await sha256Of(back)).toBe(await sha256Of(small));
        rmSync(back);
        expect(checkRecords(one.records).violations).toEqual([]);
      } finally {
        await faulty.stop();
        rmSync(small);
      }
    }
  });

  test('killed while the answer to Complete is lost: resume finds the object', async () => {
    for (const [operation, size] of [
      ['CompleteMultipartUpload', SIZE],
      ['PutObject', MiB],
    ] as const) {
      const one = newCase(`killed-${operation}`);
      const small = join(folder, `killed-${operation}.bin`);
      writeRandomFile(small, size);
      const logFile = join(folder, `killed-${operation}.log`);
      // The effect takes place, and the answer never comes: the client waits for it until it is killed.
      const faults = `${operation}:1=lose-answer; ${operation}:2-99=stall`;
      const faulty = await startSandboxProcess(['--https', '--bucket', 'bkt', '--faults', faults], logFile);
      try {
        const args = ['put', small, one.target, '--kms-key', faulty.kmsKeyId, '--state-dir', one.state, '--json'];
        const put = start(args, { env: faulty.env, records: one.records });
        while (!faulty.log().some((entry) => entry.operation === operation)) await sleep(20);
        put.child.kill('SIGKILL');
        await put.ended;
        const before = writesIn(faulty.log());
        const again = ['resume', '--state-dir', one.state, '--json'];
        const resumed = await run(again, { env: faulty.env, records: one.records });
        expect(resumed.last, resumed.stderr).toMatchObject({ type: 'result', plainBytes: size });
        expect(writesIn(faulty.log())).toBe(before);
        expect(checkRecords(one.records).violations).toEqual([]);
      } finally {
        await faulty.stop();
        rmSync(small);
      }
    }
  });
});

/** Requests that would write: a resume that finds its object there makes none. */
function writesIn(log: LogEntry[]): number {
  return log.filter(({ operation }) => /^(PutObject|UploadPart|C\w+MultipartUpload)$/.test(operation)).length;
}

function randomMoment(): { ackedParts: number; delayMs: number } {
  return { ackedParts: 1 + Math.floor(Math.random() * (SIZE / PART_SIZE - 8)), delayMs: Math.random() * 60 };
}

function ackedAtLeast(parts: number) {
  return ({ type, ackedBytes }: Line) => type === 'progress' && (ackedBytes as number) >= parts * PART_SIZE;
}

async function resume(one: Case): Promise<Outcome> {
  const args = ['resume', '--state-dir', one.state, '--json'];
  const resumed = await run(args, { env: sandbox.env, records: one.records });
  expect(resumed.last, resumed.stderr).toMatchObject({ type: 'result', plainBytes: SIZE });
  return resumed;
}

/** The same command again: what a person does who does not know what became of the job. */
async function again(one: Case): Promise<Outcome> {
  const put = await run(putArgs(one), { env: sandbox.env, records: one.records });
  expect(put.last, put.stderr).toMatchObject({ type: 'result', plainBytes: SIZE });
  return put;
}

function ledgerOf({ state }: Case): string {
  return join(state, readdirSync(state).find((name) => name.endsWith('.db'))!);
}

function copyLedger(one: Case): [path: string, bytes: Buffer][] {
  const db = ledgerOf(one);
  return [db, `${db}-wal`, `${db}-shm`].map((path) => [path, readFileSync(path)]);
}

/** Runs `work` while every part of the source differs and its times say that nothing happened. */
async function withChangedSource(work: () => Promise<void>): Promise<void> {
  const offsets = Array.from({ length: SIZE / PART_SIZE }, (_, index) => index * PART_SIZE + 12_345);
  changeQuietly(source, offsets);
  hash = await sha256Of(source);
  try {
    await work();
  } finally {
    changeQuietly(source, offsets);
    hash = await sha256Of(source);
  }
}

async function withClient(work: (client: S3Client) => Promise<unknown>): Promise<void> {
  const { AWS_ENDPOINT_URL: endpoint, AWS_CA_BUNDLE: bundle } = sandbox.env;
  const client = new S3Client({
    endpoint: endpoint!,
    region: sandbox.env.AWS_REGION!,
    forcePathStyle: true,
    credentials: { accessKeyId: sandbox.env.AWS_ACCESS_KEY_ID!, secretAccessKey: sandbox.env.AWS_SECRET_ACCESS_KEY! },
    requestHandler: { httpsAgent: new Agent({ ca: readFileSync(bundle!) }) },
  });
  try {
    await work(client);
  } finally {
    client.destroy();
  }
}

function abortUploads(key: string): Promise<void> {
  return withClient(async (client) => {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'bkt', Prefix: key }));
    for (const { Key, UploadId } of Uploads) {
      await client.send(new AbortMultipartUploadCommand({ Bucket: 'bkt', Key, UploadId }));
    }
  });
}
