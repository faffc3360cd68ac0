/** A get that ended early, and what the next one makes of what it left: nothing is kept that is not still verified. */
import { link, mkdir, open, readdir, readFile, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../src/engine.ts';
import type { GetRequest } from '../../src/get.ts';
import type { JobEvent } from '../../src/job.ts';
import { jobIdOf, Ledger } from '../../src/ledger/ledger.ts';
import { DOWNLOAD, KEY } from '../ledger/fixture.ts';
import { ofType, openStage, type Plot, SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;
/** An object that is fetched in two pieces. */
let whole: Plot;
let plain: Buffer;
/** Fetches one piece after the other. */
let engine: Engine;
beforeAll(async () => {
  stage = await openStage();
  whole = stage.plot('whole');
  plain = await readFile(whole.source);
  await stage.put(whole);
  engine = stage.engine(whole);
});
afterEach(() => {
  stage.sandbox.setFaults('');
  vi.restoreAllMocks();
});
afterAll(async () => {
  await engine.close();
  await stage.close();
});

/** The object once more, into a folder of its own. */
let count = 0;
async function again(): Promise<Plot & { folder: string }> {
  const folder = join(stage.folder, `again-${++count}`);
  await mkdir(folder);
  return { ...whole, folder, back: join(folder, 'back') };
}

function get({ target: source, back: target }: Plot, request: Partial<GetRequest> = {}) {
  return engine.get({ source, target, ...request });
}

/** A get that opened its first piece, and then failed. */
async function unfinished(request: Partial<GetRequest> = {}) {
  const plot = await again();
  stage.sandbox.setFaults('GetObject:3=AccessDenied');
  await expect(get(plot, request)).rejects.toMatchObject({ code: 'access-denied' });
  stage.sandbox.setFaults('');
  const [name] = await readdir(plot.folder);
  return { ...plot, temporary: join(plot.folder, name!) };
}

function jobsOf({ back }: Plot) {
  return engine.jobs().flatMap((job) => (job.state !== 'damaged' && job.target === back ? job.state : []));
}

async function expectWhole({ folder, back }: { folder: string; back: string }): Promise<void> {
  expect((await readFile(back)).equals(plain)).toBe(true);
  expect(await readdir(folder)).toEqual(['back']);
}

describe('the half-written file', () => {
  test('that is removed under a get is no bug of ours, and the next get begins anew', async () => {
    const plot = await again();
    stage.strike('GetObject:3=stall@1ms', async () => {
      for (const name of await readdir(plot.folder)) await unlink(join(plot.folder, name));
    });
    await expect(get(plot)).rejects.toMatchObject({
      code: 'target-unwritable',
      message: expect.stringMatching(/ENOENT/),
    });
    expect(await get(plot)).toMatchObject({ partsReused: 0 });
    await expectWhole(plot);
  });

  test('is read back: what is as it was written is kept, without a word', async () => {
    const plot = await unfinished();
    expect(await get(plot)).toMatchObject({ partsReused: 1, warnings: [] });
    await expectWhole(plot);
  });

  test.each<[how: string, change: (path: string) => Promise<void>]>([
    [
      'emptied and made as long again',
      async (path) => {
        await truncate(path, 0);
        await truncate(path, SIZE);
      },
    ],
    [
      'with another last byte in its piece',
      async (path) => {
        const file = await open(path, 'r+');
        await file.write(Buffer.from([plain[8 * 2 ** 20 - 1]! ^ 1]), 0, 1, 8 * 2 ** 20 - 1);
        await file.close();
      },
    ],
  ])('%s: the piece is fetched again, and that is told', async (_how, change) => {
    const plot = await unfinished();
    await change(plot.temporary);
    const events: JobEvent[] = [];
    const { partsReused, warnings } = await get(plot, { onEvent: (event) => events.push(event) });
    expect(partsReused).toBe(0);
    expect(warnings).toEqual([expect.stringMatching(/^1 of 1 parts written before have changed since/)]);
    expect(ofType(events, 'part')).toMatchObject([
      { number: 1, kept: false, reason: 'changed since it was written' },
      { number: 2, kept: false, reason: 'not written before' },
    ]);
    await expectWhole(plot);
  });
});

describe('a run that died after the file had its name', () => {
  /** All is done but the ledger's last word. */
  async function died(request: Partial<GetRequest> = {}) {
    const plot = await again();
    let temporary = '';
    vi.spyOn(Ledger.prototype, 'finish').mockImplementationOnce(function (this: Ledger) {
      temporary = this.download()!.tempPath;
      throw new Error('killed');
    });
    await expect(get(plot, request)).rejects.toMatchObject({ code: 'internal' });
    stage.requests.length = 0;
    return { ...plot, temporary };
  }

  test.each<[how: string, request: Partial<GetRequest>, namedTwice: boolean]>([
    ['linked', {}, false],
    ['linked, and before its first name was gone', {}, true],
    ['renamed', { overwrite: true }, false],
  ])('is finished by the next one: %s', async (_how, request, namedTwice) => {
    const plot = await died(request);
    if (namedTwice) await link(plot.back, plot.temporary);
    expect(await get(plot, request)).toMatchObject({ partsReused: 2, warnings: [] });
    // The object's header alone was read.
    expect(stage.operations(plot)).toEqual(['HeadObject', 'GetObject']);
    await expectWhole(plot);
    expect(jobsOf(plot)).toEqual(['done']);
  });

  test('and whose file was changed since is not taken for finished', async () => {
    const plot = await died();
    const file = await open(plot.back, 'r+');
    await file.write('mine');
    await file.close();
    await expect(get(plot)).rejects.toMatchObject({ code: 'target-exists' });
    expect((await readFile(plot.back)).subarray(0, 4).toString()).toBe('mine');
  });
});

test('a file that stands under the name meanwhile costs nothing of what was opened', async () => {
  const plot = await unfinished();
  await writeFile(plot.back, 'mine');
  await expect(get(plot)).rejects.toMatchObject({ code: 'target-exists' });
  await unlink(plot.back);
  expect(await get(plot)).toMatchObject({ partsReused: 1 });
  await expectWhole(plot);
});

describe('another range', () => {
  const first = { first: 0, last: 9_999_999 };

  test.each<[begun: GetRequest['range'], asked: GetRequest['range'], message: RegExp]>([
    [undefined, first, /begun without --range, not with --range 0-9999999$/],
    [first, undefined, /begun with --range 0-9999999, not without --range$/],
    [first, { first: 1, last: 9_999_999 }, /begun with --range 0-9999999, not with --range 1-9999999$/],
  ])('begun with %j, asked for %j: refused, and what was opened is kept', async (begun, asked, message) => {
    const plot = await unfinished({ range: begun });
    const refused = get(plot, { range: asked });
    await expect(refused).rejects.toMatchObject({ code: 'options-differ', message: expect.stringMatching(message) });
    expect(await get(plot, { range: begun })).toMatchObject({ partsReused: 1 });
  });

  test('is begun with --fresh, and nothing is left of the other', async () => {
    const plot = await unfinished();
    await get(plot, { range: { first: 5, last: 9 }, fresh: true });
    expect(await readFile(plot.back)).toEqual(plain.subarray(5, 10));
    expect(await readdir(plot.folder)).toEqual(['back']);
  });
});

test('what goes wrong while a signal is heard is told as what it is', async () => {
  const plot = await again();
  const controller = new AbortController();
  // The damaged piece comes at once; the other keeps the job until the signal has come.
  stage.sandbox.setFaults('GetObject:2=stall@400ms; GetObject:3=corrupt@1000');
  const onEvent = ({ type }: JobEvent) => {
    if (type === 'start') setTimeout(() => controller.abort(), 300);
  };
  await using engine = stage.engine(plot, { lanes: 2 });
  const failed = engine.get({ source: plot.target, target: plot.back, signal: controller.signal, onEvent });
  await expect(failed).rejects.toMatchObject({ code: 'bad-frame', exit: 6 });
  expect(controller.signal.aborted).toBe(true);
  expect(await readdir(plot.folder)).toEqual([]);
  expect(jobsOf(plot)).toEqual(['failed']);
});

describe('a run that died as soon as it had made its file', () => {
  async function died() {
    const plot = await again();
    const names = { command: 'get', source: plot.target, target: plot.back } as const;
    using ledger = Ledger.create(plot.stateDir, { ...names, options: { fixed: { range: 'without --range' } } });
    const tempPath = join(plot.folder, '.sealift-of-the-dead');
    ledger.startDownload({ ...DOWNLOAD, tempPath }, KEY);
    await writeFile(tempPath, '');
    return { ...plot, id: jobIdOf(names) };
  }

  test('leaves nothing behind after the next one', async () => {
    const plot = await died();
    await get(plot);
    await expectWhole(plot);
  });

  test('leaves nothing behind once it is cancelled', async () => {
    const plot = await died();
    await engine.cancel(plot.id);
    expect(await readdir(plot.folder)).toEqual([]);
  });

  test('leaves nothing behind where it could note no more', async () => {
    const plot = await again();
    vi.spyOn(Ledger.prototype, 'setTempInode').mockImplementationOnce(() => {
      throw new Error('no room');
    });
    await expect(get(plot)).rejects.toMatchObject({ code: 'internal' });
    expect(await readdir(plot.folder)).toEqual([]);
    expect(jobsOf(plot)).toEqual([]);
  });
});
