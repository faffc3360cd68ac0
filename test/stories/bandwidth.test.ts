/** `bwlimit`, from the engine down: put and get take at least the time that their bytes need, whichever way they go. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../src/engine.ts';
import { MiB } from '../../src/units.ts';
import { openStage, PART_SIZE, SIZE, type Stage } from '../support/stage.ts';

const RATE = 48 * MiB;

let stage: Stage;
let engine: Engine;
beforeAll(async () => {
  stage = await openStage();
  mkdirSync(join(stage.folder, 'disk'));
  const { stateDir } = stage.plot('any', 0);
  engine = stage.engine({ stateDir }, { threads: 2, lanes: 4, bwlimit: RATE });
});
afterAll(async () => {
  await engine.close();
  await stage.close();
});

/** Runs `work`, which moves `size` bytes: all of them but 100 ms' worth and a slice must have had their time. */
async function expectPaced(size: number, work: () => Promise<unknown>): Promise<void> {
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  expect(seconds).toBeGreaterThan(size / RATE - 0.12);
}

test.each([
  ['parts on threads, to S3', SIZE, 's3'],
  ['parts on threads, to a directory', SIZE, 'file'],
  ['a whole file on the main thread', 7 * MiB, 's3'],
])('%s', async (name, size, scheme) => {
  const { source, target: url, back } = stage.plot(name.replaceAll(/\W/g, '-'), size);
  const target = scheme === 's3' ? url : `file://${join(stage.folder, 'disk', 'object')}`;
  await expectPaced(size, () =>
    engine.put({ source, target, partSize: Math.max(PART_SIZE, size === SIZE ? 0 : size) }),
  );
  await expectPaced(size, () => engine.get({ source: target, target: back }));
});
