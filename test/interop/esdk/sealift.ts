/** Sealift as a peer: as a library in this process, which reads every message as an object and as a pipe; and as a command. */
import { createHash } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { KmsKeyring } from '../../../src/engine/keys.ts';
import { MIN_FRAME_SIZE } from '../../../src/formats/esdk/plan.ts';
import { SIGNING_SUITE } from '../../../src/formats/esdk/suites.ts';
import {
  type CommitmentPolicy,
  createEngine,
  type Engine,
  kmsKeyring,
  multiKeyring,
  rawAesKeyring,
  rawRsaKeyring,
  type WrappingKeyring,
} from '../../../src/index.ts';
import { measure } from '../../support/measure.ts';
import { type Answer, type Cell, COMMITTING, type Job, type Key, type Keys, type Peer } from './cells.ts';
import { inTurn } from './javascript.ts';

/** What we write: without a signature, and with one. */
const WRITTEN_SUITES = [COMMITTING, SIGNING_SUITE.id];
const bin = join(import.meta.dirname, '../../../src/cli/bin.ts');

function writes({ suite, frameSize }: Cell): boolean {
  return WRITTEN_SUITES.includes(suite) && frameSize >= MIN_FRAME_SIZE;
}

function isSigned({ suite }: Pick<Cell, 'suite'>): boolean {
  return suite === SIGNING_SUITE.id;
}

/** Old messages need the lax policy; the others must open under the strict one. */
function policyFor({ suite }: Job): CommitmentPolicy {
  return suite < COMMITTING ? 'require-encrypt-allow-decrypt' : 'require-encrypt-require-decrypt';
}

export function sealiftPeer(keys: Keys, folder: string): Peer {
  const stateDir = join(folder, 'jobs');

  function engineFor(names: readonly string[]): Engine {
    const [first, ...others] = names.map((name) => keyringOf(keys[name]!));
    for (const key of names.map((name) => keys[name]!)) setEndpoint(key);
    return createEngine({ keyring: others.length === 0 ? first : multiKeyring([first!, ...others]), stateDir });
  }

  async function answer(engine: Engine, job: Job): Promise<Answer> {
    const sealed = pathToFileURL(job.sealed).href;
    if (job.do === 'write') {
      const { plain: source, context, frameSize } = job;
      await engine.put({ source, target: sealed, context, frameSize, sign: isSigned(job), overwrite: true });
      return { error: null };
    }
    const asObject = await read(engine, sealed, job);
    const asPipe = await read(engine, createReadStream(job.sealed), job);
    if (asObject !== asPipe) throw new Error('an object and a pipe differ');
    return { error: null, sha256: asObject };
  }

  return {
    name: 'Sealift',
    writes,
    reads: () => true,
    async run(jobs) {
      if (jobs.length === 0) return [];
      // All jobs of a batch have one keyring, and so share one engine.
      await using engine = engineFor(jobs[0]!.keyring);
      return await inTurn(jobs, (job) => answer(engine, job));
    },
  };
}

async function read(engine: Engine, source: string | AsyncIterable<Uint8Array>, job: Job): Promise<string> {
  const hash = createHash('sha256');
  await engine.get({
    source,
    target: async (bytes) => void hash.update(bytes),
    commitmentPolicy: policyFor(job),
    expectContext: job.context,
    allowRelocated: typeof source !== 'string',
  });
  return hash.digest('hex');
}

function keyringOf(key: Key): WrappingKeyring | KmsKeyring {
  if (key.type === 'kms') return kmsKeyring({ keyIds: [key.arn] });
  if (key.type === 'raw-aes') return rawAesKeyring({ ...key, key: Buffer.from(key.key, 'base64') });
  return rawRsaKeyring(key);
}

/** An engine takes the endpoint of KMS from the environment. */
function setEndpoint(key: Key): void {
  if (key.type === 'kms') process.env.AWS_ENDPOINT_URL_KMS = key.endpoint;
}

/** One process a job: a few cells are enough. */
export function sealiftCommandPeer(keys: Keys, folder: string, isTried: (cell: Cell) => boolean): Peer {
  function flagsOf(name: string): string[] {
    const key = keys[name]!;
    setEndpoint(key);
    if (key.type === 'kms') return ['--kms-key', key.arn];
    const file = join(folder, `${name}.key`);
    writeFileSync(file, JSON.stringify(key), { mode: 0o600 });
    return ['--raw-key', file];
  }

  async function answer(job: Job): Promise<Answer> {
    const flags = [...job.keyring.flatMap(flagsOf), '--state-dir', join(folder, 'jobs')];
    const context = Object.entries(job.context).map(([name, value]) => `${name}=${value}`);
    if (job.do === 'write') {
      const pairs = context.flatMap((pair) => ['--context', pair]);
      const options = ['--frame-size', String(job.frameSize), '--overwrite', ...pairs, ...flags];
      if (isSigned(job)) options.push('--sign');
      await sealift(['put', job.plain, pathToFileURL(job.sealed).href, ...options]);
      return { error: null };
    }
    const pairs = context.flatMap((pair) => ['--expect-context', pair]);
    const options = ['--commitment-policy', policyFor(job), '--allow-relocated', ...pairs, ...flags];
    const stdout = await sealift(['get', job.sealed, '-', ...options], '| sha256sum');
    return { error: null, sha256: stdout.slice(0, 64) };
  }

  return {
    name: 'sealift command',
    writes: (cell) => isTried(cell) && writes(cell),
    reads: isTried,
    run: (jobs) => inTurn(jobs, answer),
  };
}

async function sealift(args: string[], into?: string): Promise<string> {
  const { exit, stdout, stderr } = await measure([process.execPath, bin, ...args], into === undefined ? {} : { into });
  if (exit !== 0) throw new Error(`exit ${exit}: ${stderr}`);
  return stdout;
}
