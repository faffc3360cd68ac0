/**
 * The scene of every story that goes wrong: a sandbox, and for each test a bucket, a folder and a state folder of its
 * own, so that what is left behind can be counted to the last file.
 */
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { expect, vi } from 'vitest';
import { createEngine, type Engine, type EngineOptions, rawAesKeyring, SealiftError } from '../../src/index.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts';
import { MiB } from '../../src/units.ts';
import { clientOf } from '../sandbox/s3-client.ts';
import { type Outcome, type Running, type RunOptions, start } from '../support/cli.ts';
import { runHere } from '../support/here.ts';

/** The least that S3 takes, so that files of several parts are small. */
export const PART_SIZE = 5 * MiB;

export const KEY = { namespace: 'test', name: 'first', key: Buffer.alloc(32, 'first') };

export interface Left {
  objects: string[];
  uploads: number;
  /** Jobs that wait to be gone on with. */
  jobs: number;
  /** Names in the test's folder, hidden ones too. */
  files: string[];
}

export class Scene {
  readonly sandbox: Sandbox;
  readonly #s3: S3Client;
  readonly #folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
  #count = 0;

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
    this.#s3 = clientOf(sandbox);
    // Other users come in here, where a test runs as one of them.
    chmodSync(this.#folder, 0o755);
  }

  static async open(options: SandboxOptions = {}): Promise<Scene> {
    const scene = new Scene(await startSandbox(options));
    scene.calm();
    return scene;
  }

  /** Takes back faults and changes of the environment, after each test. */
  calm(): void {
    this.sandbox.setFaults('');
    vi.unstubAllEnvs();
    for (const [name, value] of Object.entries(this.sandbox.env)) vi.stubEnv(name, value);
  }

  async close(): Promise<void> {
    vi.unstubAllEnvs();
    this.#s3.destroy();
    await this.sandbox.close();
    rmSync(this.#folder, { recursive: true });
  }

  /** A place where nothing has happened yet. */
  async act(): Promise<Act> {
    const bucket = `act-${++this.#count}`;
    await this.#s3.send(new CreateBucketCommand({ Bucket: bucket }));
    const folder = join(this.#folder, bucket);
    mkdirSync(folder);
    return new Act({ bucket, folder, stateDir: join(this.#folder, `${bucket}-state`), s3: this.#s3 });
  }
}

export class Act {
  readonly bucket: string;
  readonly folder: string;
  readonly stateDir: string;
  readonly #s3: S3Client;

  constructor({ bucket, folder, stateDir, s3 }: { bucket: string; folder: string; stateDir: string; s3: S3Client }) {
    this.bucket = bucket;
    this.folder = folder;
    this.stateDir = stateDir;
    this.#s3 = s3;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  url(key: string): string {
    return `s3://${this.bucket}/${key}`;
  }

  /** One thread and one lane, so that parts go one after the other. */
  engine(options: EngineOptions = {}): Engine {
    return createEngine({ keyring: rawAesKeyring(KEY), threads: 1, lanes: 1, stateDir: this.stateDir, ...options });
  }

  start(args: string[], options: RunOptions = {}): Running {
    return start(args, { cwd: this.folder, ...options, env: { SEALIFT_STATE_DIR: this.stateDir, ...options.env } });
  }

  run(args: string[], options: RunOptions = {}): Promise<Outcome> {
    return this.start(args, options).ended;
  }

  /** As `run`, without a process. */
  runHere(args: string[]): Promise<Outcome> {
    return runHere(args, { cwd: this.folder, env: { SEALIFT_STATE_DIR: this.stateDir } });
  }

  /** What was left behind, wherever that may be. */
  async left(): Promise<Left> {
    const Bucket = this.bucket;
    const { Contents = [] } = await this.#s3.send(new ListObjectsV2Command({ Bucket }));
    const { Uploads = [] } = await this.#s3.send(new ListMultipartUploadsCommand({ Bucket }));
    await using engine = createEngine({ stateDir: this.stateDir });
    const jobs = engine.jobs().filter(({ state }) => state === 'running' || state === 'damaged');
    return {
      objects: Contents.map(({ Key }) => Key!),
      uploads: Uploads.length,
      jobs: jobs.length,
      files: readdirSync(this.folder).sort(),
    };
  }

  /** The object's bytes, as anyone with access to the bucket gets them. */
  async fetch(key: string): Promise<{ sealed: Buffer; metadata: Record<string, string> }> {
    const answer = await this.#s3.send(new GetObjectCommand({ Bucket: this.bucket, Key: key }));
    return { sealed: Buffer.from(await answer.Body!.transformToByteArray()), metadata: answer.Metadata! };
  }

  /** Writes an object past Sealift, as anyone with access to the bucket can. */
  async store(key: string, sealed: Uint8Array, metadata: Record<string, string> = {}): Promise<void> {
    const object = { Bucket: this.bucket, Key: key, Body: sealed, Metadata: metadata };
    await this.#s3.send(new PutObjectCommand(object));
  }

  async etag(key: string): Promise<string> {
    return (await this.#s3.send(new HeadObjectCommand({ Bucket: this.bucket, Key: key }))).ETag!;
  }
}

/** What a person is told when something fails; held to how Sealift speaks. */
export interface Told {
  code: string;
  exit: number;
  message: string;
  hint: string;
  requestId?: string | undefined;
}

/** How `work` fails. Fails itself where it does not, or where the reader is not told what happened and what to do. */
export async function refusal(work: Promise<unknown>): Promise<Told> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SealiftError);
  const { code, exit, message, hint, requestId } = error as SealiftError;
  return wellSaid({ code, exit, message, hint, requestId });
}

/** How a process with `--json` failed. Machines and people must have been told the same. */
export function failureOf({ exit, last, stderr }: Outcome): Told {
  expect(last?.type, stderr).toBe('error');
  const told = wellSaid(last as unknown as Told);
  expect(exit).toBe(told.exit);
  expect(stderr).toContain(`: ${told.message} (${told.code})\n${told.hint}`);
  return told;
}

function wellSaid(told: Told): Told {
  // A name (`s3://…`, `--flag`, a path) may come first; a word begins with a capital letter.
  expect(told.message).toMatch(/^([A-Z0-9/"-]|(s3|file):\/\/|\.\/|\w+\.\w+ )/);
  expect(told.message).not.toMatch(/\.$/);
  expect(told.hint).toMatch(/^[A-Z`].*[^.]\.$/s);
  return told;
}

/** Resolves once the unfinished job has so many parts or pieces in its ledger. */
export async function untilDone(engine: Engine, count: number): Promise<void> {
  const isThere = () => engine.jobs().some((job) => job.state === 'running' && job.partsDone === count);
  while (!isThere()) await sleep(20);
}

/** Ends a child and waits until it is gone. */
export async function kill({ child }: Running): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
