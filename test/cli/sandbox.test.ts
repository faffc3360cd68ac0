/** The sandbox as a command: what it says when it is ready, and when it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { run, start } from '../support/cli.ts';

test.each(['SIGTERM', 'SIGHUP'] as const)('--json: the first line says ready; %s ends it', async (signal) => {
  const sandbox = start(['sandbox', '--https', '--json']);
  const ready = await sandbox.until(() => true);
  const { s3, kms, env } = ready as unknown as { s3: string; kms: string; env: Record<string, string> };
  expect(ready).toEqual({ type: 'ready', s3, kms, kmsKeyId: expect.stringMatching(/^arn:aws:kms:/), env });
  expect(s3).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  expect(env).toMatchObject({ AWS_ENDPOINT_URL: s3, AWS_ENDPOINT_URL_S3: s3, AWS_ENDPOINT_URL_KMS: kms });
  expect(Object.keys(env)).toEqual(
    expect.arrayContaining(['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']),
  );
  expect(env.AWS_CA_BUNDLE).toBe(env.NODE_EXTRA_CA_CERTS);
  expect(existsSync(env.AWS_CA_BUNDLE!)).toBe(true);
  sandbox.child.kill(signal);
  expect(await sandbox.ended).toMatchObject({ exit: 0, signal: null });
  expect(existsSync(env.AWS_CA_BUNDLE!)).toBe(false);
});

test('-- CMD: runs it in that environment and ends as it ends', async () => {
  const script = 'console.log(process.env.AWS_ENDPOINT_URL, process.env.AWS_PROFILE); process.exitCode = 7';
  const { exit, stdout } = await run(['sandbox', '--', process.execPath, '-e', script], {
    env: { AWS_PROFILE: 'production' },
  });
  expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+ undefined\n$/);
  expect(exit).toBe(7);
});

test('-- CMD: a signal ends the command, and its status is told as a shell does', async () => {
  const script = 'console.log(`{"type":"up"}`); setInterval(() => {}, 1000)';
  const sandbox = start(['sandbox', '--', process.execPath, '-e', script]);
  await sandbox.until(({ type }) => type === 'up');
  sandbox.child.kill('SIGTERM');
  expect((await sandbox.ended).exit).toBe(128 + 15);
});

/** Starts `sealift sandbox ARGS` under another process, and kills that one after the first line. Resolves to the line. */
async function orphan(args: string[]): Promise<string> {
  const bin = new URL('../../src/cli/bin.ts', import.meta.url).pathname;
  const command = JSON.stringify([bin, 'sandbox', ...args]);
  const script = `require('node:child_process').spawn(process.execPath, ${command}, { stdio: 'inherit' })`;
  const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  parent.kill('SIGKILL');
  return line;
}

/** Looks for ten seconds. */
async function becomes(isSo: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let waited = 0; waited < 100 && !(await isSo()); waited++) await sleep(100);
  return isSo();
}

test('ends when its parent is gone', async () => {
  const { s3 } = JSON.parse(await orphan(['--json']));
  const refused = async () =>
    fetch(s3).then(
      () => false,
      () => true,
    );
  expect(await becomes(refused)).toBe(true);
});

test('-- CMD: ends with its command when its parent is gone', async () => {
  const script = 'console.log(process.env.AWS_CA_BUNDLE); setInterval(() => {}, 1000)';
  const bundle = await orphan(['--https', '--', process.execPath, '-e', script]);
  expect(bundle).toMatch(/^\//);
  expect(await becomes(() => !existsSync(bundle))).toBe(true);
});
