/**
 * Whole programs that move a file to S3 and back: ours, and those of others where they are there. All with their own
 * defaults, but for what their names say; all reach the sandbox by the variables of AWS's tools.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runs } from '../../test/sandbox/contract.ts';
import type { Setting } from '../harness/case.ts';
import { once } from '../harness/once.ts';

export const bin = join(import.meta.dirname, '../../src/cli/bin.ts');
export const BUCKET = 'bkt';

export interface Program {
  name: string;
  isThere: () => boolean;
  put: (source: string, key: string) => string[];
  get: (key: string, target: string) => string[];
  /** What it needs beside the sandbox's variables, or instead of them. */
  env: (sandbox: Readonly<Record<string, string>>) => Record<string, string | undefined>;
}

type OwnProgram = Program & { putAll: (folder: string, key: string) => string[] };

/** Sealift with a key of KMS, and with other flags where it puts. */
export function sealift(setting: Setting, ...flags: string[]): OwnProgram {
  const name = ['sealift', ...flags].join(' ');
  return ours(setting, name, { putting: ['--kms-key', 'alias/sandbox', ...flags], getting: [] });
}

/** Sealift where it does all that it does, but seal. */
export function unsealed(setting: Setting): Program {
  const none = ['--seal', 'none'];
  return ours(setting, 'sealift --seal none', { putting: none, getting: none });
}

function ours({ folder }: Setting, name: string, flags: { putting: string[]; getting: string[] }): OwnProgram {
  const command = (...words: string[]) => [process.execPath, bin, ...words, '--state-dir', join(folder, 'jobs')];
  return {
    name,
    isThere: () => true,
    put: (source, key) => command('put', source, url(key), ...flags.putting),
    get: (key, target) => command('get', url(key), target, ...flags.getting),
    putAll: (source, key) => command('migrate', source, url(key), ...flags.putting),
    env: (sandbox) => sandbox,
  };
}

/** The AWS CLI 1 has but its classic transfers. Version 2 can hand them to AWS's common runtime, where it is told to. */
export function awsCli({ peers }: Setting): Program {
  const aws = pathOf('aws', peers);
  return { name: 'aws s3 cp', isThere: once(() => runs(aws, '--version')), ...copies(aws), env: (sandbox) => sandbox };
}

export function awsCrt({ peers, folder }: Setting): Program {
  const aws = pathOf('aws2', peers);
  const config = join(folder, 'aws-crt');
  return {
    name: 'aws s3 cp, CRT',
    isThere: once(() => runs(aws, '--version')),
    ...copies(aws),
    env(sandbox) {
      writeFileSync(config, '[default]\ns3 =\n  preferred_transfer_client = crt\n');
      return { ...sandbox, AWS_CONFIG_FILE: config };
    },
  };
}

function copies(aws: string): Pick<Program, 'put' | 'get'> {
  const copy = (from: string, to: string) => [aws, 's3', 'cp', '--only-show-errors', from, to];
  return {
    put: (source, key) => copy(source, url(key)),
    get: (key, target) => copy(url(key), target),
  };
}

export function s5cmd({ peers }: Setting): Program {
  const program = pathOf('s5cmd', peers);
  return {
    name: 's5cmd',
    isThere: once(() => runs(program, 'version')),
    put: (source, key) => [program, 'cp', source, url(key)],
    get: (key, target) => [program, 'cp', url(key), target],
    env: (sandbox) => ({ ...sandbox, S3_ENDPOINT_URL: sandbox.AWS_ENDPOINT_URL_S3 }),
  };
}

/** rclone, to S3 or through a crypt remote over it, both told by variables. */
export function rclone(
  { peers }: Setting,
  { crypt }: { crypt: boolean },
): Program & { putAll: (folder: string, key: string, transfers: number) => string[] } {
  const program = pathOf('rclone', peers);
  const remote = crypt ? 'sealed:' : `plain:${BUCKET}/rclone/`;
  const copy = (from: string, to: string) => [program, 'copyto', '--config', '', from, to];
  return {
    name: crypt ? 'rclone crypt' : 'rclone',
    isThere: once(() => runs(program, 'version')),
    put: (source, key) => copy(source, `${remote}${key}`),
    get: (key, target) => copy(`${remote}${key}`, target),
    putAll: (folder, key, transfers) => {
      const flags = ['--config', '', '--transfers', String(transfers)];
      return [program, 'copy', ...flags, folder, `${remote}${key}`];
    },
    env: ({ AWS_CA_BUNDLE, ...env }) => ({
      ...env,
      // rclone has its own way to trust an authority, and refuses to start with the SDK's.
      AWS_CA_BUNDLE: undefined,
      RCLONE_CA_CERT: AWS_CA_BUNDLE,
      RCLONE_CONFIG_PLAIN_TYPE: 's3',
      RCLONE_CONFIG_PLAIN_PROVIDER: 'Other',
      RCLONE_CONFIG_PLAIN_ENV_AUTH: 'true',
      RCLONE_CONFIG_PLAIN_REGION: env.AWS_REGION,
      RCLONE_CONFIG_PLAIN_ENDPOINT: env.AWS_ENDPOINT_URL_S3,
      RCLONE_CONFIG_PLAIN_FORCE_PATH_STYLE: 'true',
      RCLONE_CONFIG_SEALED_TYPE: 'crypt',
      RCLONE_CONFIG_SEALED_REMOTE: `plain:${BUCKET}/sealed`,
      // The word sealift, as `rclone obscure` hides it.
      RCLONE_CONFIG_SEALED_PASSWORD: 'YA7hXoLK1Zg4ytv1lwJWV0s4xYdrqEk',
    }),
  };
}

/** `Upload` of @aws-sdk/lib-storage from a stream, as its page shows it: parts of 8 MiB, four at a time. It only puts. */
export function libStorage(): Pick<Program, 'name' | 'isThere' | 'put' | 'env'> {
  const program = join(import.meta.dirname, 'lib-storage.ts');
  return {
    name: 'lib-storage Upload',
    isThere: () => true,
    put: (source, key) => [process.execPath, program, source, BUCKET, key],
    env: (sandbox) => sandbox,
  };
}

export function url(key: string): string {
  return `s3://${BUCKET}/${key}`;
}

/** As bench/peers has it, or else whatever the PATH has. */
function pathOf(program: string, peers: string): string {
  const own = join(peers, 'bin', program);
  return existsSync(own) ? own : program;
}
