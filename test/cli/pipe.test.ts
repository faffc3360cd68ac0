/** Messages through pipes, as people type it: standard input may be a file, a slow writer, or one that never ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { somePlain } from '../formats/message.ts';
import { foreignMessage, suiteNamed } from '../get/foreign-message.ts';

const bin = join(import.meta.dirname, '../../src/cli/bin.ts');
const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const key = join(folder, 'key');
const raw = {
  type: 'raw-aes',
  namespace: 'somebody',
  name: 'else',
  key: Buffer.alloc(32, 'wrapping key').toString('base64'),
};
writeFileSync(key, JSON.stringify(raw), { mode: 0o600 });
afterAll(() => rmSync(folder, { recursive: true }));

const plain = somePlain(200_000);
const message = foreignMessage({ suite: suiteNamed('0478'), plain, frameSize: 4096 });
const signed = foreignMessage({ suite: suiteNamed('0378'), plain, frameSize: 4096 });

/** Runs a command with `input` on its standard input, which is closed behind it unless it is to stay open. */
async function piped(args: string[], input: Buffer, { stayOpen = false, stop = false } = {}) {
  const child = spawn(process.execPath, [bin, ...args], {
    env: { ...process.env, SEALIFT_STATE_DIR: join(folder, 'state') },
  });
  const out: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    out.push(chunk);
    if (stop) child.kill('SIGINT');
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  // Whoever has had enough stops reading.
  child.stdin.on('error', () => undefined);
  child.stdin.write(input);
  if (!stayOpen) child.stdin.end();
  const [exit] = await once(child, 'close');
  return { exit, stdout: Buffer.concat(out), stderr };
}

test('a message goes from pipe to pipe, and from a pipe into a file', async () => {
  expect(await piped(['get', '-', '-', '--raw-key', key, '-q'], message)).toEqual({
    exit: 0,
    stdout: plain,
    stderr: '',
  });
  const target = join(folder, 'plain');
  const allow = ['--commitment-policy', 'require-encrypt-allow-decrypt'];
  expect(await piped(['get', '-', target, '--raw-key', key, '-q', ...allow], signed)).toMatchObject({ exit: 0 });
  expect(readFileSync(target).equals(plain)).toBe(true);
});

test('a bare path is a file that holds a message', async () => {
  writeFileSync(join(folder, 'a #1 %41 file'), message);
  const { exit, stdout } = await piped(
    ['get', join(folder, 'a #1 %41 file'), '-', '--raw-key', key, '-q'],
    Buffer.alloc(0),
  );
  expect(exit).toBe(0);
  expect(stdout.equals(plain)).toBe(true);
});

test('a pipe that stays open does not keep a command that has enough', async () => {
  const range = await piped(['get', '-', '-', '--raw-key', key, '-q', '--range', '10-29'], message, { stayOpen: true });
  expect(range).toEqual({ exit: 0, stdout: plain.subarray(10, 30), stderr: '' });
  const refused = await piped(['get', '-', '-', '--raw-key', key], signed, { stayOpen: true });
  expect(refused).toMatchObject({ exit: 6, stderr: expect.stringContaining('(commitment-policy)') });
  expect(refused.stdout).toHaveLength(0);
  const text = await piped(['get', '-', '-', '--raw-key', key], Buffer.from(message.toString('base64')), {
    stayOpen: true,
  });
  expect(text).toMatchObject({ exit: 1, stderr: expect.stringContaining('base64 --decode') });
});

test('a pipe that nothing more comes through is given up by Ctrl-C', async () => {
  const half = message.subarray(0, message.length / 2);
  const stopped = await piped(['get', '-', '-', '--raw-key', key], half, { stayOpen: true, stop: true });
  expect(stopped).toMatchObject({ exit: 4, stderr: expect.stringContaining('(interrupted)') });
  expect(stopped.stdout).toEqual(plain.subarray(0, stopped.stdout.length));
});

test('inspect shows what comes through a pipe', async () => {
  const { exit, stdout } = await piped(['inspect', '-', '--json'], signed);
  expect(exit).toBe(0);
  expect(JSON.parse(stdout.toString())).toMatchObject({
    object: '-',
    signed: true,
    commits: false,
    plainBytes: plain.length,
  });
});
