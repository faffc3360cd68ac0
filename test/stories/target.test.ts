/** Targets that are full, taken, not there, or closed. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { writeKeyFile } from '../../src/index.ts';
import { KiB, MiB } from '../../src/units.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';
import { type Act, failureOf, KEY, refusal, Scene } from './scene.ts';

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
});
afterEach(() => scene.calm());
afterAll(() => scene.close());

/** Three pieces, and one. */
const SIZES = { film: 20 * MiB, text: MiB };

/** Where the objects lie that everybody gets. */
let library: Act;
beforeAll(async () => {
  library = await scene.act();
  await using engine = library.engine();
  for (const [name, size] of Object.entries(SIZES)) {
    writeRandomFile(library.path(name), size);
    await engine.put({ source: library.path(name), target: library.url(name) });
  }
});

/** A place to get an object into, and what to ask for. */
async function actFor(name: keyof typeof SIZES): Promise<Act & { request: { source: string; target: string } }> {
  const act = await scene.act();
  return Object.assign(act, { request: { source: library.url(name), target: act.path('back') } });
}

async function expectEqual(path: string, name: keyof typeof SIZES): Promise<void> {
  expect(await sha256Of(path)).toBe(await sha256Of(library.path(name)));
}

const UNTOUCHED = { objects: [], uploads: 0, jobs: 0, files: [] };

describe('a file', () => {
  test('that exists is not replaced, unless that is wanted', async () => {
    const act = await actFor('text');
    writeFileSync(act.path('back'), 'precious');
    await using engine = act.engine();
    const told = await refusal(engine.get(act.request));
    expect(told).toMatchObject({ code: 'target-exists', exit: 1, hint: expect.stringContaining('--overwrite') });
    expect(readFileSync(act.path('back'), 'utf8')).toBe('precious');
    expect(await act.left()).toEqual({ ...UNTOUCHED, files: ['back'] });
    await engine.get({ ...act.request, overwrite: true });
    await expectEqual(act.path('back'), 'text');
  });

  test('that comes while the object is opened is not replaced', async () => {
    const act = await actFor('text');
    await using engine = act.engine();
    const onEvent = ({ type }: { type: string }) => {
      if (type === 'start') writeFileSync(act.path('back'), 'precious');
    };
    expect(await refusal(engine.get({ ...act.request, onEvent }))).toMatchObject({ code: 'target-exists', exit: 1 });
    expect(readFileSync(act.path('back'), 'utf8')).toBe('precious');
    expect(await act.left()).toEqual({ ...UNTOUCHED, files: ['back'] });
  });

  test.each<[what: string, told: RegExp, target: (act: Act) => string]>([
    ['in a folder that is not there', /cannot be written/, (act) => act.path('no/such/folder/back')],
    ['in what is no folder', /cannot be written/, () => library.path('text/back')],
    ['that is a folder', /is a directory/, (act) => act.folder],
    ['that is a device', /not a regular file/, () => '/dev/null'],
    ['behind a link that leads nowhere', /exists already/, danglingLink],
  ])('%s', async (_what, message, target) => {
    const act = await actFor('text');
    const path = target(act);
    await using engine = act.engine();
    const told = await refusal(engine.get({ ...act.request, target: path }));
    expect(told).toMatchObject({ exit: 1, message: expect.stringMatching(message) });
    expect(['target-unwritable', 'target-exists']).toContain(told.code);
    expect(told.message).toContain(path);
    expect({ ...(await act.left()), files: [] }).toEqual({ ...UNTOUCHED, files: [] });
  });

  function danglingLink(act: Act): string {
    symlinkSync('/no/such/file', act.path('link'));
    return act.path('link');
  }

  test('for a key is never written over', async () => {
    const act = await scene.act();
    await writeKeyFile(act.path('key'));
    const before = readFileSync(act.path('key'));
    expect(await refusal(writeKeyFile(act.path('key')))).toMatchObject({ code: 'target-exists', exit: 1 });
    expect(readFileSync(act.path('key'))).toEqual(before);
    const told = await refusal(writeKeyFile(act.path('no/key')));
    expect(told).toMatchObject({ code: 'target-unwritable', hint: expect.stringMatching(/folder exists/) });
  });
});

/** Small disks of our own, where the system lets us have some. */
const disks: string[] = [];
afterAll(() => {
  for (const disk of disks) {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  }
});

function mountDisk(size: number): string {
  const disk = mkdtempSync(join(tmpdir(), 'sealift-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', disk], { stdio: 'pipe' });
  disks.push(disk);
  return disk;
}

function canMount(): boolean {
  try {
    mountDisk(MiB);
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!canMount())('a full disk (where small ones may be mounted)', () => {
  test('for the file: what is there is kept, and the same command goes on once there is room', async () => {
    const act = await actFor('film');
    const disk = mountDisk(12 * MiB);
    const request = { ...act.request, target: join(disk, 'back') };
    await using engine = act.engine();
    const told = await refusal(engine.get(request));
    expect(told).toMatchObject({ code: 'disk-full', exit: 1, message: `No space left in ${disk}` });
    expect(told.hint).toMatch(/Free some space.*goes on where it stopped/);
    expect(await act.left()).toMatchObject({ jobs: 1 });

    execFileSync('mount', ['-o', `remount,size=${SIZES.film + MiB}`, disk]);
    expect(await engine.get(request)).toMatchObject({ partsReused: 1 });
    await expectEqual(request.target, 'film');
    expect(await act.left()).toEqual(UNTOUCHED);
  });

  test('for a file that is given up: cancel frees what it took', async () => {
    const act = await actFor('film');
    const disk = mountDisk(12 * MiB);
    await using engine = act.engine();
    expect(await refusal(engine.get({ ...act.request, target: join(disk, 'back') }))).toMatchObject({ exit: 1 });
    await engine.cancel(engine.jobs().find(({ state }) => state === 'running')!.id);
    expect(execFileSync('ls', ['-A', disk], { encoding: 'utf8' })).toBe('');
    expect(await act.left()).toEqual(UNTOUCHED);
  });

  test('for the ledger: nothing is sent that it could not note, and the same command goes on', async () => {
    const act = await scene.act();
    const disk = mountDisk(400 * KiB);
    const stateDir = join(disk, 'state');
    mkdirSync(stateDir, { mode: 0o700 });
    writeFileSync(join(disk, 'filler'), Buffer.alloc(400 * KiB - 8 * KiB));
    await using engine = act.engine({ stateDir });
    const request = { source: library.path('text'), target: act.url('text') };
    const told = await refusal(engine.put(request));
    expect(told).toMatchObject({ code: 'disk-full', exit: 1, hint: expect.stringMatching(/Free some space/) });
    expect(await act.left()).toEqual(UNTOUCHED);
    expect(engine.jobs()).toEqual([]);
    rmSync(join(disk, 'filler'));
    await engine.put(request);
    expect(await act.left()).toEqual({ ...UNTOUCHED, objects: ['text'] });
  });
});

describe('standard output', () => {
  let act: Act;
  const GET = ['-', '--raw-key', 'key', '-q'];
  beforeAll(async () => {
    act = await scene.act();
    const key = { type: 'raw-aes', ...KEY, key: KEY.key.toString('base64') };
    writeFileSync(act.path('key'), JSON.stringify(key), { mode: 0o600 });
  });

  test.skipIf(process.platform !== 'linux')('on a full disk', async () => {
    const { exit, stderr } = await act.run(['get', library.url('text'), ...GET], {
      under: ['sh', '-c', 'exec "$@" > /dev/full', 'sh'],
    });
    expect(stderr).toMatch(/^sealift: Standard output: .*ENOSPC.* \(disk-full\)\n.*not all of the object.*\.\n$/);
    expect(exit).toBe(1);
  });

  test('closed early by its reader: over at once, without a word', async () => {
    const { stdout, stderr } = await act.run(['get', library.url('text'), ...GET], {
      under: ['sh', '-c', '{ "$@"; echo "exit $?" >&2; } | head -c 100 | wc -c', 'sh'],
    });
    expect(stdout).toBe('100\n');
    expect(stderr).toBe('exit 1\n');
    expect((await act.left()).jobs).toBe(0);
  });

  test('and JSON on it too', async () => {
    const told = failureOf(await act.runHere(['get', library.url('text'), '-', '--json']));
    expect(told).toMatchObject({ code: 'usage', exit: 2, hint: expect.stringMatching(/--json/) });
  });
});
