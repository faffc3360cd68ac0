/**
 * The package as its users get it: packed, unpacked into an empty folder as npm does, with what it depends on beside it,
 * and run from there. TypeScript is compiled to `dist/` for it, where paths and extensions are others than in the
 * checkout. (npm itself would ask a registry for the dependencies, and copy them all.)
 */
import { execFile, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../src/units.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'sealift-package-'));
const app = join(folder, 'app');
const modules = join(app, 'node_modules');
const installed = join(modules, 'sealift');
const bin = join(modules, '.bin');
/** The installed command and this Node come first, whatever else the machine has. */
const env = { ...process.env, PATH: [bin, dirname(process.execPath), process.env.PATH].join(delimiter) };

const SIZE = 20 * MiB;

async function runIn(cwd: string, file: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(file, args, { cwd, env })).stdout;
}

beforeAll(async () => {
  mkdirSync(installed, { recursive: true });
  await runIn(root, 'npm', 'pack', '--pack-destination', folder);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
  await runIn(installed, 'tar', '-xzf', join(folder, tarball), '--strip-components=1');
  linkDependencies();
  linkCommand();
  writeRandomFile(join(app, 'source'), SIZE);
}, 120_000);

/** What the package says it depends on, and nothing else of what is there for the tests. */
function linkDependencies(): void {
  for (const name of Object.keys(packed().dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
}

function linkCommand(): void {
  mkdirSync(bin);
  const command = join(installed, packed().bin.sealift);
  chmodSync(command, 0o755);
  symlinkSync(command, join(bin, 'sealift'));
}

function packed(): { bin: { sealift: string }; man: string; dependencies: Record<string, string> } {
  return JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
}

afterAll(() => rmSync(folder, { recursive: true }));

test('the installed command puts and gets, with its threads', async () => {
  const script = `
    sealift put source s3://bkt/object --kms-key alias/sandbox --state-dir jobs --json &&
    sealift put source s3://bkt/signed --kms-key alias/sandbox --state-dir jobs --json --sign &&
    sealift get s3://bkt/object target --state-dir jobs --json`;
  const stdout = await runIn(app, 'sealift', 'sandbox', '--https', '--bucket', 'bkt', '--', 'sh', '-c', script);
  const results = stdout.split('\n').filter((line) => line.startsWith('{"type":"result"'));
  // Three parts: a single one would have started no thread.
  const expected = { plainBytes: SIZE, parts: 3, kmsCalls: 1 };
  expect(results.map((line) => JSON.parse(line))).toMatchObject([expected, { ...expected, signed: true }, expected]);
  expect(await sha256Of(join(app, 'target'))).toBe(await sha256Of(join(app, 'source')));
});

test('the manual page is where npm looks for it', () => {
  expect(readFileSync(join(installed, packed().man), 'utf8')).toMatch(/^\.TH SEALIFT 1 /);
});

const PROGRAM = `
import { createEngine, type JobResult, rawAesKeyring, SealiftError } from 'sealift';

const keyring = rawAesKeyring({ namespace: 'n', name: 'k', key: Buffer.alloc(32, 1) });
await using engine = createEngine({ keyring, stateDir: 'library-jobs' });
const result: JobResult = await engine.put({ source: process.cwd() + '/source', target: 's3://bkt/by-library' });
console.log(result.plainBytes);
// @ts-expect-error A result has a type, not any.
result.nothing;
await engine.get({ source: 's3://bkt/none', target: async () => {} }).catch((error: unknown) => {
  console.log(error instanceof SealiftError && error.code);
});
`;

test('the library imports, with types, and works', async () => {
  writeFileSync(join(app, 'program.mts'), PROGRAM);
  const typeRoots = join(root, 'node_modules/@types');
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--lib', 'esnext'];
  await runIn(
    app,
    join(root, 'node_modules/.bin/tsc'),
    ...flags,
    '--types',
    'node',
    '--typeRoots',
    typeRoots,
    'program.mts',
  );
  const sandbox = ['sealift', 'sandbox', '--bucket', 'bkt', '--'] as const;
  expect(await runIn(app, ...sandbox, process.execPath, 'program.mts')).toBe(`${SIZE}\nobject-not-found\n`);
});

const olderNode = (process.env.PATH ?? '')
  .split(delimiter)
  .map((path) => join(path, 'node'))
  .find((path) => {
    const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    return stdout !== null && /^v(1\d|2[0-3])\./.test(stdout);
  });

test.skipIf(!olderNode)('an older Node (skipped where there is none) is refused in one line, exit 2', () => {
  const { status, stdout, stderr } = spawnSync(olderNode!, [join(bin, 'sealift'), 'put'], { encoding: 'utf8' });
  expect(stderr).toMatch(/^sealift: Node 24 or newer is needed, this is v\S+ \(node-too-old\)\n$/);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
});
