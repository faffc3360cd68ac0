/** What a migration takes of a directory, by the flags of the command line and the requests of a program. */
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { Command } from 'commander';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type ChoiceFlags, choiceOptions, filterOf, namesOf } from '../../src/cli/choice.ts';
import type { MigrateRequest } from '../../src/index.ts';
import type { JobResult } from '../../src/job.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';

let stage: Stage;
let source: string;

beforeAll(async () => {
  stage = await openStage();
  source = join(stage.folder, 'tree');
  for (const name of ['a.jpg', 'a.txt', 'tmp/b.jpg', 'sub/c.jpg', 'sub/large.txt']) {
    mkdirSync(dirname(join(source, name)), { recursive: true });
    writeFileSync(join(source, name), name.repeat(name.includes('large') ? 100 : 1));
  }
  utimesSync(join(source, 'a.txt'), 0, 0);
});
afterAll(() => stage.close());

/** The flags as the command line reads them. */
function flagsOf(...args: string[]): ChoiceFlags {
  const command = choiceOptions(new Command()).exitOverride();
  return command.parse(args, { from: 'user' }).opts();
}

let folders = 0;
const newTarget = () => `s3://${BUCKET}/${folders++}/`;

function migrate(target: string, request: Partial<MigrateRequest>): Promise<JobResult> {
  return stage.shared.migrate({ source, target, ...request });
}

/** The names of what is there. */
async function namesAt(target: string): Promise<string[]> {
  const Prefix = target.slice(`s3://${BUCKET}/`.length);
  const { Contents = [] } = await stage.s3.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix }));
  return Contents.map(({ Key }) => Key!.slice(Prefix.length));
}

describe('the command line', () => {
  test.each<[args: string[], names: string[]]>([
    [[], ['a.jpg', 'a.txt', 'sub/c.jpg', 'sub/large.txt', 'tmp/b.jpg']],
    [
      ['--include', '*.jpg'],
      ['a.jpg', 'sub/c.jpg', 'tmp/b.jpg'],
    ],
    [
      ['--exclude', 'tmp/**', '--exclude', '*.txt'],
      ['a.jpg', 'sub/c.jpg'],
    ],
    [
      ['--max-size', '20'],
      ['a.jpg', 'a.txt', 'sub/c.jpg', 'tmp/b.jpg'],
    ],
    [['--min-size', '1K', '--include', '/sub/**'], ['sub/large.txt']],
    [
      ['--max-age', '1d'],
      ['a.jpg', 'sub/c.jpg', 'sub/large.txt', 'tmp/b.jpg'],
    ],
    [['--min-age', '1d'], ['a.txt']],
  ])('%j', async (args, names) => {
    const target = newTarget();
    const { objects, failed } = await migrate(target, { filter: filterOf(flagsOf(...args)) });
    expect(await namesAt(target)).toEqual(names);
    expect([objects, failed]).toEqual([names.length, 0]);
  });

  test('reads rules and lists of names from files', async () => {
    const rules = join(stage.folder, 'rules');
    writeFileSync(rules, '# photos\r\n- tmp/\r\n+ *.jpg\r\n- *\r\n');
    const target = newTarget();
    await migrate(target, { filter: filterOf(flagsOf('--filter-from', rules)) });
    expect(await namesAt(target)).toEqual(['a.jpg', 'sub/c.jpg']);
    const list = join(stage.folder, 'list');
    writeFileSync(list, './a.jpg\0./sub/c.jpg\0gone');
    const listed = newTarget();
    const { failed } = await migrate(listed, { names: namesOf(flagsOf('--files-from0', list)) });
    expect(await namesAt(listed)).toEqual(['a.jpg', 'sub/c.jpg']);
    expect(failed).toBe(1);
  });

  test('refuses what it cannot read', () => {
    const latin = join(stage.folder, 'latin');
    writeFileSync(latin, Buffer.from('+ caf\xe9', 'latin1'));
    for (const args of [
      ['--filter-from', latin],
      ['--filter-from', join(stage.folder, 'none')],
      ['--max-age', '5'],
      ['--max-age', '1h30m'],
    ]) {
      expect(() => flagsOf(...args), String(args)).toThrow(expect.objectContaining({ code: 'bad-option' }));
    }
    expect(flagsOf('--max-age', '1M').maxAge).toBe(30 * 86_400_000);
    expect(flagsOf('--max-age', '1m').maxAge).toBe(60_000);
  });
});

describe('a job', () => {
  afterEach(() => stage.sandbox.setFaults(''));

  /** Leaves the job unfinished. */
  async function begin(target: string, request: Partial<MigrateRequest>): Promise<void> {
    const stop = new AbortController();
    stage.strike('PutObject:1=500', () => stop.abort());
    await expect(migrate(target, { ...request, signal: stop.signal })).rejects.toMatchObject({ code: 'interrupted' });
    stage.sandbox.setFaults('');
  }

  test('goes on with the choice that it was begun with, and no other', async () => {
    const target = newTarget();
    const filter = { include: ['*.jpg'], maxAgeMs: 3_600_000 };
    await begin(target, { filter });
    for (const other of [{ include: ['*.txt'] }, { ...filter, maxAgeMs: 1 }, { minSize: 1 }]) {
      await expect(migrate(target, { filter: other })).rejects.toMatchObject({ code: 'options-differ' });
    }
    const names = async function* () {};
    await expect(migrate(target, { names })).rejects.toMatchObject({ code: 'options-differ' });
    await migrate(target, { filter: { minSize: undefined } });
    expect(await namesAt(target)).toEqual(['a.jpg', 'sub/c.jpg', 'tmp/b.jpg']);
  });

  test('of a pattern that is none is not begun', async () => {
    const state = join(stage.folder, 'state');
    const before = readdirSync(state).sort();
    await expect(migrate(newTarget(), { filter: { include: ['['] } })).rejects.toMatchObject({ code: 'bad-option' });
    expect(readdirSync(state).sort()).toEqual(before);
  });

  test('of a list out of a pipe takes it up where that is given once more', async () => {
    const target = newTarget();
    const list = Buffer.from('a.jpg\0sub/c.jpg\0');
    let isCut = true;
    const names = async function* () {
      yield list.subarray(0, 6);
      if (isCut) throw new Error('the pipe broke');
      yield list.subarray(6);
    };
    await expect(migrate(target, { names })).rejects.toThrow('the pipe broke');
    // Without the list it would be all of the directory.
    await expect(migrate(target, {})).rejects.toMatchObject({ code: 'options-differ' });
    isCut = false;
    const { objects } = await migrate(target, { names });
    expect(await namesAt(target)).toEqual(['a.jpg', 'sub/c.jpg']);
    expect(objects).toBe(2);
  });
});
