/** What is refused before anything is touched, and how it is said. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { programFor } from '../../src/cli/main.ts';
import { flagsOf, keyOptions, workOptions } from '../../src/cli/options.ts';
import { Output } from '../../src/cli/output.ts';
import { CODES, type ErrorCode } from '../../src/errors.ts';
import { type RunOptions, run } from '../support/cli.ts';
import { runHere } from '../support/here.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const stateDir = join(folder, 'state');
const file = join(folder, 'file');
const key = join(folder, 'key');
writeFileSync(file, 'x');
afterAll(() => rmSync(folder, { recursive: true }));

/** Nothing listens there: a request would fail with another code than the one expected. */
const env = {
  SEALIFT_STATE_DIR: stateDir,
  AWS_REGION: 'us-east-1',
  AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
  AWS_ACCESS_KEY_ID: 'a',
  AWS_SECRET_ACCESS_KEY: 'b',
};
const sealift = (args: string[], options: RunOptions = {}) =>
  runHere(args, { ...options, env: { ...env, ...options.env } });
const output = new Output({});
const put = ['put', file, 's3://bucket/key', '--kms-key', 'alias/any'];
const unsealed = ['put', file, 's3://bucket/key', '--seal', 'none'];

describe('flags', () => {
  afterEach(() => delete process.env.SEALIFT_FRAME_SIZE);

  const cases: [name: string, code: ErrorCode, args: string[]][] = [
    ['an expected size of a file', 'usage', [...put, '--expected-size', '1GiB']],
    [
      'a source command that is none',
      'usage',
      ['put', '--from-command', ' ', 's3://bucket/key', '--kms-key', 'alias/any'],
    ],
    ['a pipe into a folder', 'usage', ['put', '-', 's3://bucket/folder/']],
    ['JSON and bytes on one standard output', 'usage', ['get', 's3://bucket/key', '-', '--json']],
    ['no key to seal with', 'no-key', ['put', file, 's3://bucket/key']],
    ['a key for what is not to be sealed', 'bad-option', [...put, '--seal', 'none']],
    ['a limit of KMS calls of which there are none', 'bad-option', [...unsealed, '--kms-rate', '5']],
    [
      'keys to be used again of which there are none',
      'bad-option',
      ['plan', ...unsealed.slice(1), '--key-reuse', 'off'],
    ],
    ['a key file that is not there', 'bad-key-file', ['put', file, 's3://bucket/key', '--raw-key', key]],
    ['a key file that is not there beside a KMS key', 'bad-key-file', [...put, '--raw-key', key]],
    ['a size that is none', 'bad-size', [...put, '--part-size', '8 parsecs']],
    ['a count of nothing', 'bad-option', [...put, '--lanes', '0']],
    ['a share above the whole', 'bad-option', [...put, '--kms-share', '1.5']],
    ['a rate of nothing', 'bad-option', [...put, '--kms-rate', '0']],
    ['a bandwidth that is none', 'bad-size', [...put, '--bwlimit', 'fast']],
    ['a bandwidth for a modem, its unit forgotten', 'bad-option', [...put, '--bwlimit', '10']],
    ['a context without a name', 'bad-option', [...put, '--context', '=x']],
    ['a tag given twice', 'bad-option', [...put, '--tag', 'a=1', '--tag', 'a=2']],
    ['a range the wrong way round', 'bad-range', ['get', 's3://bucket/key', join(folder, 'x'), '--range', '9-0']],
    ['an object that names no file', 'usage', ['get', 's3://bucket/key/..', folder]],
    ['a pipe that names no file', 'usage', ['get', '-', folder]],
    ['a folder that is not there', 'target-unwritable', ['get', 's3://bucket/key', join(folder, 'no/')]],
    ['a device to replace', 'target-unwritable', ['get', 's3://bucket/key', '/dev/null', '--overwrite']],
    ['a fault that is none', 'bad-option', ['sandbox', '--faults', 'everything']],
  ];

  test.each(cases)('%s: %s', async (_name, code, args) => {
    const parsing = programFor(output).parseAsync(args, { from: 'user' });
    await expect(parsing).rejects.toMatchObject({ code, hint: expect.stringMatching(/\.$/) });
    expect(readdirSync(folder)).toEqual(['file']);
  });

  test('of the command line win over those the job was begun with, and those over the environment', () => {
    vi.stubEnv('SEALIFT_LANES', '1');
    vi.stubEnv('SEALIFT_THREADS', '1');
    vi.stubEnv('SEALIFT_MAX_MEMORY', '1GiB');
    vi.stubEnv('SEALIFT_KMS_KEY', 'alias/of-environment');
    const parsed = (...args: string[]) => workOptions(keyOptions(new Command())).parse(args, { from: 'user' });
    const begun = { threads: 2, lanes: 2, rawKey: ['/begun.key'] };
    const weaker = { threads: 2, maxMemory: 1024 ** 3 };
    expect(flagsOf(parsed('--lanes', '3'), begun)).toEqual({ ...weaker, lanes: 3, rawKey: begun.rawKey });
    // A key of one kind takes the place of keys of the other.
    expect(flagsOf(parsed('--kms-key', 'a'), begun)).toEqual({ ...weaker, lanes: 2, kmsKey: ['a'] });
    expect(flagsOf(parsed())).toMatchObject({ lanes: 1, kmsKey: ['alias/of-environment'] });
    vi.unstubAllEnvs();
  });

  test('a bad value in the environment', async () => {
    process.env.SEALIFT_FRAME_SIZE = 'big';
    const parsing = programFor(output).parseAsync(put, { from: 'user' });
    await expect(parsing).rejects.toMatchObject({ code: 'bad-size', message: expect.stringContaining('--frame-size') });
  });
});

describe('a command', () => {
  const cases: [name: string, code: ErrorCode, args: string[]][] = [
    ['no command', 'usage', []],
    ['an unknown command', 'usage', ['migrait']],
    ['an unknown flag', 'usage', [...put, '--fast']],
    ['an argument too many', 'usage', ['get', 's3://bucket/key', 'a', 'b']],
    ['a choice that is none', 'usage', [...put, '--key-reuse', 'maybe']],
    ['a URL of another kind', 'bad-url', ['put', file, 'https://bucket/key', '--kms-key', 'a']],
    ['a bucket alone', 'bad-url', ['get', 's3://bucket', join(folder, 'x')]],
    ['memory too small to start', 'memory-too-small', [...put, '--max-memory', '64MiB']],
    ['a job that is not there', 'no-such-job', ['jobs', 'put-aaaaaaaaaa']],
    ['a command that cannot be run', 'usage', ['sandbox', '--', join(folder, 'no-such-command')]],
  ];

  test.each(cases)('%s: says %s, and exits with its status', async (_name, code, args) => {
    const { exit, stderr, stdout } = await sealift(args);
    expect(stderr).toContain(`(${code})`);
    expect(stdout).toBe('');
    expect(exit).toBe(CODES[code]);
    expect(existsSync(join(folder, 'x'))).toBe(false);
  });

  test('says the same in JSON: one error line, with a hint', async () => {
    const { exit, stdout } = await run(['put', file, '--json'], { env });
    const { message, hint, ...error } = JSON.parse(stdout);
    expect(error).toEqual({ type: 'error', code: 'usage', exit: 2 });
    expect(message).toContain('dest');
    expect(hint).toContain('sealift put --help');
    expect(exit).toBe(2);
  });

  test('tells a stack with -v only', async () => {
    const [plain, verbose] = await Promise.all([sealift(['jobs', 'x']), sealift(['jobs', 'x', '-v'])]);
    expect(plain.stderr).not.toContain('    at ');
    expect(verbose.stderr).toContain('    at ');
  });

  test('with nothing to list and nothing to resume exits with 0', async () => {
    const [jobs, resume] = await Promise.all([sealift(['jobs']), sealift(['resume', '--json'])]);
    expect(jobs).toMatchObject({ exit: 0, stdout: '' });
    expect(resume).toMatchObject({ exit: 0, last: { type: 'result', command: 'resume', objects: 0 } });
  });
});

describe('help', () => {
  test('lists the commands, and nothing that is not there', async () => {
    const { exit, stdout } = await sealift(['--help']);
    const listed = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name);
    expect(listed).toEqual([
      'put',
      'get',
      'verify',
      'migrate',
      'reseal',
      'rewrap',
      'inspect',
      'ls',
      'plan',
      'bench',
      'jobs',
      'resume',
      'cancel',
      'keygen',
      'doctor',
      'sandbox',
      'demo',
      'completion',
      'man',
    ]);
    expect(exit).toBe(0);
  });

  test.each(programFor(output).commands.map((command) => [command.name(), command] as const))(
    '%s has two to four examples',
    (name, command) => {
      let text = '';
      command.configureOutput({ writeOut: (written) => (text += written) }).outputHelp();
      const [, examples] = text.split('\nExamples:\n');
      const count = examples!.match(/^ {2}\$ (sealift|npm start)/gm)?.length;
      expect(count, name).toBeGreaterThanOrEqual(2);
      expect(count, name).toBeLessThanOrEqual(4);
    },
  );

  test('the version is that of the package, and says what it runs on', async () => {
    const [text, json] = await Promise.all([sealift(['--version']), sealift(['--version', '--json'])]);
    expect(text).toMatchObject({
      exit: 0,
      stdout: expect.stringMatching(/^sealift \d+\.\d+\.\d+ \(Node 24\.\S+, OpenSSL 3\.\S+, \w+ \w+\)\n$/),
    });
    const { node, openssl } = process.versions;
    const { platform, arch } = process;
    const version = expect.stringMatching(/^\d+\.\d+\.\d+$/);
    expect(JSON.parse(json.stdout)).toEqual({ type: 'version', version, node, openssl, platform, arch });
  });
});

describe('keygen', () => {
  test('makes a key for one pair of eyes, and never twice', async () => {
    const path = join(folder, 'new.key');
    const first = await sealift(['keygen', path, '--json']);
    expect(first.last).toMatchObject({ type: 'result', command: 'keygen', file: path });
    expect(first.stderr).toContain('without it');
    const second = await sealift(['keygen', path, '--json']);
    expect(second.last).toMatchObject({ type: 'error', code: 'target-exists', exit: 1 });
  });

  test('takes paths from where npm was called, not from where npm runs it', async () => {
    const { exit } = await sealift(['keygen', 'from-npm.key'], {
      env: { npm_lifecycle_event: 'sealift', INIT_CWD: folder },
    });
    expect(exit).toBe(0);
    expect(existsSync(join(folder, 'from-npm.key'))).toBe(true);
  });

  test('a switch in the environment is on, unless its variable says no', async () => {
    const names = ['1', 'false'].map((value) => ({ value, path: join(folder, `quiet-${value}.key`) }));
    const [on, off] = await Promise.all(
      names.map(({ value, path }) => sealift(['keygen', path], { env: { SEALIFT_QUIET: value } })),
    );
    expect(on!.stderr).toBe('');
    expect(off!.stderr).not.toBe('');
  });
});
