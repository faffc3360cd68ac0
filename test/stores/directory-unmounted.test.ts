/**
 * A put whose disk is taken away: the job waits for the disk. A directory that is renamed, with an empty one or none in
 * its place, is what a mount point is without its disk.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/engine.ts';
import type { JobEvent } from '../../src/job.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import { MiB } from '../../src/units.ts';
import { writeRandomFile } from '../support/files.ts';

const root = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const keyring = rawAesKeyring({ namespace: 'test', name: 'disk', key: Buffer.alloc(32, 'wrapping key') });
const engine = createEngine({ keyring, stateDir: join(root, 'state'), threads: 1, lanes: 1 });
const source = join(root, 'source');
writeRandomFile(source, 40 * MiB);
afterAll(async () => {
  await engine.close();
  rmSync(root, { recursive: true });
});

const directory = join(root, 'mount');
const disk = join(root, 'disk');
const target = pathToFileURL(join(directory, 'o')).href;
const id = jobIdOf({ command: 'put', source, target });
const put = (onEvent?: (event: JobEvent) => void, signal?: AbortSignal) =>
  engine.put({ source, target, partSize: 5 * MiB, onEvent, signal });

beforeEach(() => {
  for (const path of [directory, disk]) rmSync(path, { recursive: true, force: true });
  mkdirSync(directory);
});

describe.each([
  ['empty', () => mkdirSync(directory)],
  ['missing', () => {}],
])('where the mount point is %s', (_name, leave) => {
  const mount = () => {
    // Fails where something was written beside the disk.
    if (existsSync(directory)) rmdirSync(directory);
    renameSync(disk, directory);
  };

  beforeEach(async () => {
    const stop = new AbortController();
    const interrupted = put((event) => {
      if (event.type === 'progress' && event.ackedBytes > 0) stop.abort();
    }, stop.signal);
    await expect(interrupted).rejects.toMatchObject({ code: 'interrupted' });
    renameSync(directory, disk);
    leave();
  });

  test('a put writes nothing beside the disk, and goes on once it is mounted', async () => {
    await expect(put()).rejects.toMatchObject({ code: 'bucket-not-found' });
    mount();
    expect(readdirSync(directory)).toEqual([expect.stringMatching(/^\.o\.sealift-/)]);
    expect((await put()).partsReused).toBeGreaterThan(0);
  });

  test('cancel keeps the upload in mind, and removes it once it is mounted', async () => {
    const warnings: JobEvent[] = [];
    expect(await engine.cancel(id, { onEvent: (event) => warnings.push(event) })).toBe('left');
    expect(warnings).toMatchObject([{ type: 'warning', message: expect.stringContaining('could not be aborted') }]);
    mount();
    expect(await engine.cancel(id)).toBe('cancelled');
    expect(readdirSync(directory)).toEqual([]);
  });
});
