/**
 * Where stories of safety take place: a sandbox, a folder, and an engine between the two, all in this process. The
 * engine has one thread and one lane, so that parts go one after the other, and one data key for all objects, so that
 * nothing but message ids keeps their keys apart. Requests are tried once: a fault ends a job at once and leaves it as a
 * crash would, unfinished.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, ListMultipartUploadsCommand, ListPartsCommand, type S3Client } from '@aws-sdk/client-s3';
import { expect, vi } from 'vitest';
import { createEngine, type Engine, type EngineOptions } from '../../src/engine.ts';
import { decodeHeader, type MessageHeader } from '../../src/formats/esdk/header.ts';
import type { EsdkMessage } from '../../src/formats/message.ts';
import type { PutRequest } from '../../src/index.ts';
import type { JobEvent, JobResult } from '../../src/job.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { type AttemptRow, jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { Allowance } from '../../src/limits/allowance.ts';
import type { RequestRecord } from '../../src/sandbox/log.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';
import { MiB } from '../../src/units.ts';
import { clientOf } from '../sandbox/s3-client.ts';
import { setRoundTimes, writeRandomFile } from './files.ts';

export const BUCKET = 'bucket';
/** The least that S3 takes, so that files of several parts are small. */
export const PART_SIZE = 5 * MiB;
/** Three parts, the last of them not full. */
export const SIZE = 3 * PART_SIZE - 12_345;
/** Faults that let a put of that many parts fail, with the parts before acknowledged. */
export const PART_2_FAILS = 'UploadPart(part=2):*=500';
export const PART_3_FAILS = 'UploadPart(part=3):*=500';

export const keyring = rawAesKeyring({ namespace: 'test', name: 'story', key: Buffer.alloc(32, 'wrapping key') });

/** One object's story: where it comes from, where it goes, and what became of it. */
export interface Plot {
  source: string;
  key: string;
  target: string;
  stateDir: string;
  /** A file to get it back into. */
  back: string;
}

export interface Stage {
  folder: string;
  sandbox: Sandbox;
  s3: S3Client;
  /** What the sandbox saw, in the order it ended. */
  requests: RequestRecord[];
  /** A plot with a source of so many bytes. */
  plot(name: string, size?: number): Plot;
  /** The engine of all who need no other. */
  shared: Engine;
  /** Another engine, with its jobs where the plot has them. */
  engine(plot: Pick<Plot, 'stateDir'>, options?: EngineOptions): Engine;
  /** Puts once, and returns the result with all events. */
  put(plot: Plot, request?: Partial<PutRequest>): Promise<{ result: JobResult; events: JobEvent[] }>;
  /** Puts while `faults` strike, and expects it to fail with `code`. */
  failedPut(plot: Plot, faults: string, code: string, request?: Partial<PutRequest>): Promise<void>;
  /** Lets faults strike. The first request that one strikes is held while `meanwhile` runs. */
  strike(faults: string, meanwhile: () => void | Promise<void>): void;
  /** Gets the object and expects it to equal its source. */
  expectEqual(plot: Plot): Promise<void>;
  operations(plot: Plot): string[];
  stored(plot: Plot): Promise<Buffer>;
  uploadIds(plot: Plot): Promise<string[]>;
  /** ETags of the parts of an upload, by number. */
  partEtags(plot: Plot, uploadId: string): Promise<Map<number, string>>;
  close(): Promise<void>;
}

export async function openStage(options: SandboxOptions = {}): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'sealift-test-'));
  const requests: RequestRecord[] = [];
  let onStrike: (() => void | Promise<void>) | undefined;
  const sandbox = await startSandbox({
    ...options,
    buckets: [BUCKET],
    onRequest: (record) => requests.push(record),
    onFault() {
      const meanwhile = onStrike;
      onStrike = undefined;
      return meanwhile?.();
    },
  });
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
  const s3 = clientOf(sandbox);
  const stateDir = join(folder, 'state');
  const engine: Stage['engine'] = ({ stateDir }, options = {}) =>
    createEngine({ keyring, stateDir, threads: 1, lanes: 1, ...options });
  const stage: Stage = {
    folder,
    sandbox,
    s3,
    requests,
    plot(name, size = SIZE) {
      const source = join(folder, `${name}.source`);
      writeRandomFile(source, size);
      setRoundTimes(source);
      return { source, key: name, target: `s3://${BUCKET}/${name}`, stateDir, back: join(folder, `${name}.back`) };
    },
    shared: engine({ stateDir }),
    engine,
    async put(plot, request = { partSize: PART_SIZE }) {
      const events: JobEvent[] = [];
      const { source, target } = plot;
      const result = await stage.shared.put({ source, target, onEvent: (event) => events.push(event), ...request });
      return { result, events };
    },
    async failedPut(plot, faults, code, request) {
      sandbox.setFaults(faults);
      try {
        await expect(stage.put(plot, request)).rejects.toMatchObject({ code });
      } finally {
        sandbox.setFaults('');
      }
    },
    strike(faults, meanwhile) {
      onStrike = meanwhile;
      sandbox.setFaults(faults);
    },
    async expectEqual(plot) {
      await rm(plot.back, { force: true });
      await stage.shared.get({ source: plot.target, target: plot.back });
      expect(readFileSync(plot.back).equals(await readFile(plot.source))).toBe(true);
    },
    operations: ({ key }) => requests.filter((request) => request.key === key).map(({ operation }) => operation),
    async stored({ key }) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
      return Buffer.from(await Body!.transformToByteArray());
    },
    async uploadIds({ key }) {
      const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: key }));
      return Uploads.map(({ UploadId }) => UploadId!);
    },
    async partEtags({ key }, UploadId) {
      const { Parts = [] } = await s3.send(new ListPartsCommand({ Bucket: BUCKET, Key: key, UploadId }));
      return new Map(Parts.map(({ PartNumber, ETag }) => [PartNumber!, ETag!]));
    },
    async close() {
      await stage.shared.close();
      s3.destroy();
      await sandbox.close();
      vi.unstubAllEnvs();
      await rm(folder, { recursive: true });
    },
  };
  return stage;
}

/** So many lanes, whatever happens. */
export function fixedLanes(count: number): Allowance {
  return new Allowance({ least: count, start: count, most: count }, { slowDowns: () => 0, onChange: () => {} });
}

type EsdkCut = Pick<EsdkMessage, 'format' | 'layout'>;

/** The current attempt of a plot's put, an ESDK message, with its header read. */
export function attemptOf({ stateDir, source, target }: Plot): AttemptRow & EsdkCut & { message: MessageHeader } {
  using ledger = Ledger.open(stateDir, jobIdOf({ command: 'put', source, target }));
  const attempt = ledger.attempt() as AttemptRow & EsdkCut;
  return { ...attempt, message: decodeHeader(attempt.header)! };
}

export function ofType<Type extends JobEvent['type']>(events: JobEvent[], type: Type) {
  return events.filter((event): event is Extract<JobEvent, { type: Type }> => event.type === type);
}
