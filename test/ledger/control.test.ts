/** Orders to a running migration, from another engine. */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EngineOptions } from '../../src/engine.ts';
import { jobFiles } from '../../src/ledger/files.ts';
import { jobIdOf } from '../../src/ledger/ledger.ts';
import { GiB, MiB } from '../../src/units.ts';
import { BUCKET, openStage, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** Migrates a file with an engine of these options; the first request is held while `meanwhile` runs. */
async function migrateWhile(name: string, options: EngineOptions, meanwhile: (id: string) => Promise<void>) {
  const source = join(stage.folder, name);
  mkdirSync(source);
  writeFileSync(join(source, 'a'), 'content');
  const target = `s3://${BUCKET}/${name}/`;
  const stateDir = join(stage.folder, 'state');
  const id = jobIdOf({ command: 'migrate', source, target });
  const held = Promise.withResolvers<void>();
  stage.strike('PutObject:1=503', () => meanwhile(id).then(held.resolve, held.reject));
  await using engine = stage.engine({ stateDir }, options);
  const [result] = await Promise.all([engine.migrate({ source, target }), held.promise]);
  expect(result).toMatchObject({ objects: 1, failed: 0 });
  expect(existsSync(jobFiles(stateDir, id).socket)).toBe(false);
  return { stateDir, id };
}

test('a running migration takes another bandwidth from its owner, refuses nonsense, and leaves no socket', async () => {
  const { stateDir, id } = await migrateWhile('changed', { bwlimit: GiB }, async (id) => {
    const stateDir = join(stage.folder, 'state');
    const { socket } = jobFiles(stateDir, id);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    await using other = stage.engine({ stateDir });
    await other.change(id, { bwlimit: 512 * MiB });
    await expect(other.change(id, { bwlimit: 1 })).rejects.toMatchObject({ code: 'bad-option' });
    const stranger = connect({ path: socket, allowHalfOpen: true });
    stranger.end('no JSON');
    expect(JSON.parse(await text(stranger))).toHaveProperty('error.code');
    // Who connects and says nothing does not keep the job from ending.
    connect(socket).on('error', () => {});
  });
  await using other = stage.engine({ stateDir });
  await expect(other.change(id, { bwlimit: MiB })).rejects.toMatchObject({ code: 'usage' });
  const none = other.change('migrate-aaaaaaaaaa', { bwlimit: MiB });
  await expect(none).rejects.toMatchObject({ code: 'no-such-job' });
});

test('one that was begun without a limit says so', async () => {
  await migrateWhile('unlimited', {}, async (id) => {
    await using other = stage.engine({ stateDir: join(stage.folder, 'state') });
    await expect(other.change(id, { bwlimit: MiB })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('without a limit'),
    });
  });
});
