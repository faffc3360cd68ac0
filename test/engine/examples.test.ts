/**
 * The examples that stand at what the library exports, and in README: each is a program of its own, which is checked by
 * the compiler and then run, against a sandbox. An `engine` that an example does not make is one over `alias/backups`.
 */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { CreateAliasCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import * as library from '../../src/index.ts';
import { MiB } from '../../src/units.ts';
import { openScratch, type Scratch } from '../support/scratch.ts';

const root = join(import.meta.dirname, '../..');
const index = join(root, 'src/index.ts');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Example {
  /** `src/engine/api.ts:40`. */
  at: string;
  text: string;
}

function found(path: string, text: string, pattern: RegExp): Example[] {
  return [...text.matchAll(pattern)].map((match) => ({
    at: `${path}:${text.slice(0, match.index).split('\n').length}`,
    text: match[1]!.replaceAll(/^ *\* ?/gm, ''),
  }));
}

/** From `@example`, whose line may say what it shows, to the next tag or the comment's end. */
const examples = [
  ...globSync('src/**/*.ts', { cwd: root })
    .sort()
    .flatMap((path) => found(path, read(path), /@example[^\n]*\n([\s\S]*?)(?=\n *\*(?:\/| @|\n *\* @))/g)),
  ...found('README.md', read('README.md'), /```ts\n([\s\S]*?)```/g),
];

/** A program of an example: its import is ours, its paths lie in `folder`. */
function programOf({ text }: Example, folder: string): string {
  const imports = text.match(/^import .*$/gm) ?? [];
  const body = text.replaceAll(/^import .*$/gm, '');
  const prelude = [`import { createEngine as makeEngine, kmsKeyring as overKms } from 'sealift';`];
  if (!body.includes('engine = createEngine(')) {
    prelude.push(`await using engine = makeEngine({ keyring: overKms({ keyIds: ['alias/backups'] }) });`);
  }
  return [...imports, ...prelude, body]
    .join('\n')
    .replaceAll(`'sealift'`, JSON.stringify(index))
    .replaceAll(/'\/(data|restore|keys)\//g, `'${folder}/$1/`);
}

let scratch: Scratch;
let files: string[];
beforeAll(async () => {
  scratch = await openScratch({ sourceSize: MiB, buckets: ['backups'] });
  const { folder, sandbox } = scratch;
  vi.stubEnv('SEALIFT_STATE_DIR', join(folder, 'state'));
  vi.stubEnv('XDG_STATE_HOME', join(folder, 'xdg'));
  for (const name of ['data', 'restore', 'keys', 'programs']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'data/db.tar'), readFileSync(scratch.source));
  writeFileSync(join(folder, 'data/small.gz'), gzipSync('small'));
  await library.writeKeyFile(join(folder, 'keys/backup.key'));
  writeFileSync(join(folder, 'keys/customer.key'), Buffer.alloc(32), { mode: 0o600 });
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  const rsa = { type: 'raw-rsa', namespace: 'lab', name: 'safe', padding: 'oaep-sha256', publicKey: pem };
  writeFileSync(join(folder, 'keys/safe-public.json'), JSON.stringify(rsa), { mode: 0o600 });
  const kms = new KMSClient();
  for (const name of ['alias/backups', 'alias/escrow']) {
    await kms.send(new CreateAliasCommand({ AliasName: name, TargetKeyId: sandbox.kmsKeyId }));
  }
  kms.destroy();
  await using engine = library.createEngine({ keyring: library.kmsKeyring({ keyIds: ['alias/backups'] }) });
  for (const name of ['db.tar', 'small.gz']) {
    await engine.put({ source: join(folder, 'data', name), target: `s3://backups/2026/${name}` });
  }
  files = examples.map((example, position) => {
    const path = join(folder, 'programs', `${position}.mts`);
    writeFileSync(path, programOf(example, folder));
    return path;
  });
});
afterAll(() => scratch.close());

/** Runs a program of Node; rejects with all that it wrote where it fails. */
async function node(...args: string[]): Promise<string> {
  try {
    return (await promisify(execFile)(process.execPath, args)).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${stdout}${stderr}`);
  }
}

test('there are examples, in the source and in README', () => {
  expect(examples.length).toBeGreaterThan(15);
  expect(examples.some(({ at }) => at.startsWith('README'))).toBe(true);
});

/** On a machine that has others to serve. */
const TIMEOUT_MS = 120_000;

test('the compiler takes every example', { timeout: TIMEOUT_MS }, async () => {
  const options = {
    typeRoots: [join(root, 'node_modules/@types')],
    allowImportingTsExtensions: true,
    rewriteRelativeImportExtensions: false,
    noUnusedLocals: false,
  };
  const config = join(scratch.folder, 'programs/tsconfig.json');
  const project = { extends: join(root, 'tsconfig.json'), compilerOptions: options, include: ['.'] };
  writeFileSync(config, JSON.stringify(project));
  await node(join(root, 'node_modules/typescript/bin/tsc'), '-p', config);
});

test('every example runs to its end', { timeout: TIMEOUT_MS }, async () => {
  const runner = join(scratch.folder, 'programs/all.mjs');
  const lines = files.map((file, position) => {
    const { at } = examples[position]!;
    return `await import(${JSON.stringify(file)}).catch((error) => { throw new Error(${JSON.stringify(at)}, { cause: error }) });
console.log(${JSON.stringify(`ran ${at}`)});`;
  });
  writeFileSync(runner, lines.join('\n'));
  const ran = (await node(runner)).match(/(?<=^ran ).*$/gm);
  expect(ran).toEqual(examples.map(({ at }) => at));
});

describe('what is exported', () => {
  const names = [...read('src/index.ts').matchAll(/export (?:type )?\{([^}]*)\} from '\.\/([^']*)'/g)].flatMap(
    ([, list, path]) => list!.split(',').map((name) => [name.replace('type ', '').trim(), `src/${path}`] as const),
  );
  const exported = names.filter(([name]) => name !== '');

  test('is all there is', () => {
    expect(exported.map(([name]) => name)).toEqual(expect.arrayContaining(Object.keys(library)));
    expect(exported.length).toBeGreaterThan(30);
  });

  test('stands in the table of README, and nothing else does', () => {
    const [, table = ''] = /\| export \| is \|\n\| --- \| --- \|\n((?:\|.*\n)+)/.exec(read('README.md')) ?? [];
    const told = table
      .split('\n')
      .flatMap((row) => [...row.split(' | ')[0]!.matchAll(/`(\w+)`/g)].map(([, name]) => name));
    expect(told.toSorted()).toEqual(exported.map(([name]) => name).toSorted());
  });

  test('says what it is, each of them', () => {
    const silent = exported.filter(([name, path]) => {
      return !new RegExp(`\\*/\\nexport (async )?(function|class|interface|type|const) ${name}\\b`).test(read(path));
    });
    expect(silent).toEqual([]);
  });

  test('every function has an example, and every call of an engine', () => {
    const text = examples.map((example) => example.text).join('\n');
    const functions = Object.entries(library).filter(([name, value]) => /^[a-z]/.test(name) && value);
    const calls = [...read('src/engine/api.ts').matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => `engine.${name}`);
    const wanted = [...functions.map(([name]) => name), ...calls];
    expect(wanted.length).toBeGreaterThan(10);
    expect(wanted.filter((name) => !text.includes(`${name}(`))).toEqual([]);
  });
});
