/** Hostile names: stored as they are, or refused by themselves, by the rules that README has a table of. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobEvent, Tools } from '../../src/job.ts';
import { Target } from '../../src/migrate/target.ts';
import { formatObjectUrl, type ObjectUrl, parseObjectUrl, parsePrefixUrl } from '../../src/stores/object-url.ts';
import { openStore, resolveStore } from '../../src/stores/open.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

const LONG = 'ü'.repeat(110);
/** Behind `names/`, keys of 1,024 bytes and of one more. */
const longPath = (size: number) => [...Array(4).fill(LONG), 'x'.repeat(size - 'names/'.length - 4 * 221)].join('/');

/** Names that a file can have, and what becomes of them in a bucket and in a directory of objects. */
const names: [what: string, name: string, inBucket: 'stored' | 'bad-name', inDirectory: 'stored' | 'bad-name'][] = [
  ['a line break', 'a\nb', 'stored', 'stored'],
  ['control characters', '\x01\x1b[31m\x7f', 'stored', 'stored'],
  ['right to left', '\u202egpj.exe', 'stored', 'stored'],
  ['nothing to be seen', '\u200b\ufeff', 'stored', 'stored'],
  ['one letter in two forms', 'e\u0301', 'stored', 'stored'],
  ['the other form of it', '\u00e9', 'stored', 'stored'],
  ['beyond 16 bits', '\u{1f600}\u{10ffff}', 'stored', 'stored'],
  ['the sign for what is no text', '\ufffd', 'stored', 'stored'],
  ['spaces at both ends', ' a ', 'stored', 'stored'],
  ['dots', '...', 'stored', 'stored'],
  ['what looks encoded', '%2e%2e%2f+%00', 'stored', 'stored'],
  ['what looks like a URL', 's3:a?b#c', 'stored', 'stored'],
  ['a backslash', '..\\..\\a', 'stored', 'stored'],
  ['what a shell runs', '$(reboot);`id`*', 'stored', 'stored'],
  ['an option', '--overwrite', 'stored', 'stored'],
  ['a device of Windows', 'con', 'stored', 'stored'],
  ['a name of JavaScript', '__proto__', 'stored', 'stored'],
  ['a path of 1,024 bytes', longPath(1024), 'stored', 'stored'],
  ['a path of one more', longPath(1025), 'bad-name', 'stored'],
  ['a name of 255 bytes', 'x'.repeat(255), 'stored', 'bad-name'],
  ['what belongs to an object of a directory', '.a.sealift-0123456789abcdef', 'stored', 'bad-name'],
];

test('what leads elsewhere, is nothing, or is file and folder has no place in a directory', async () => {
  const folder = join(stage.folder, 'place');
  mkdirSync(folder);
  writeFileSync(join(folder, 'file'), 'x');
  const at = async (object: ObjectUrl) => {
    const { settings, credentials } = await resolveStore(object, {});
    const store = await openStore(settings, { credentials, onRetry: () => {}, bandwidth: undefined });
    return { url: formatObjectUrl(object), key: object.key, settings, store };
  };
  const tools = {
    prefix: (url: string) => at(parsePrefixUrl(url)),
    place: (url: string) => at(parseObjectUrl(url)),
  } as unknown as Tools;
  const target = await Target.open({ target: pathToFileURL(folder).href }, tools);
  for (const name of [
    '../out',
    'a/../../out',
    '/out',
    'a//b',
    './a',
    'a/.',
    '..',
    '',
    'a/',
    'file/b',
    'file/b/c',
    'a\0b',
  ]) {
    await expect(target.place(name), JSON.stringify(name)).rejects.toMatchObject({ code: 'bad-name' });
  }
  expect((await target.place('a/..b')).url).toBe(`${pathToFileURL(folder).href}/a/..b`);
  expect(readdirSync(folder).sort()).toEqual(['a', 'file']);
  const bucket = await Target.open({ target: `s3://${BUCKET}/x` }, tools);
  for (const name of ['../out', '/out', 'a//b', '.', 'a/', 'file', 'file/b', 'a\0b']) {
    expect((await bucket.place(name)).key).toBe(`x/${name}`);
  }
});

/** What became of each object, and the code of what failed. */
async function migrate(source: string, target: string): Promise<Record<string, string>> {
  const outcomes: Record<string, string> = Object.create(null);
  const onEvent = (event: JobEvent) => {
    if (event.type === 'object') outcomes[event.name] = event.code ?? event.outcome;
  };
  await stage.shared.migrate({ source, target, onEvent });
  return outcomes;
}

describe.each(['bucket', 'directory'] as const)('into a %s', (kind) => {
  test('each is stored as it is, or fails by itself', async () => {
    const source = join(stage.folder, `names-${kind}`);
    for (const [, name] of names) {
      mkdirSync(dirname(join(source, name)), { recursive: true });
      writeFileSync(join(source, name), name);
    }
    const folder = join(stage.folder, 'objects');
    const target = kind === 'bucket' ? `s3://${BUCKET}/names/` : `${pathToFileURL(folder).href}/`;
    const outcomes = await migrate(source, target);
    const expected = names.map(([what, name, inBucket, inDirectory]) => {
      const outcome = kind === 'bucket' ? inBucket : inDirectory;
      return [what, name, outcome === 'stored' ? 'done' : outcome];
    });
    expect(names.map(([what, name]) => [what, name, outcomes[name]])).toEqual(expected);
    const back = join(stage.folder, 'back');
    for (const [, name, outcome] of expected) {
      if (outcome !== 'done') continue;
      const object = kind === 'bucket' ? target + name : target + name!.split('/').map(encodeURIComponent).join('/');
      rmSync(back, { force: true });
      await stage.shared.get({ source: object, target: back });
      expect(readFileSync(back, 'utf8')).toBe(name);
    }
  });
});
