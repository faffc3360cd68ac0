/** Migrations from a directory into a bucket: small objects and large ones, and what becomes of those that fail. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobEvent } from '../../src/job.ts';
import type { MigrateRequest } from '../../src/migrate.ts';
import { BUCKET, openStage, PART_SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});

afterAll(() => stage.close());

/** A folder of files with these contents, by name, and where they go. */
function treeOf(name: string, files: Record<string, string | Buffer>) {
  const source = join(stage.folder, name);
  for (const [file, content] of Object.entries(files)) {
    const path = join(source, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return { source, target: `s3://${BUCKET}/${name}/`, stateDir: join(stage.folder, `${name}.state`) };
}

type Tree = ReturnType<typeof treeOf>;

async function migrate({ source, target, stateDir }: Tree, request: Partial<MigrateRequest> = {}) {
  const events: JobEvent[] = [];
  await using engine = stage.engine({ stateDir });
  const onEvent = (event: JobEvent) => events.push(event);
  const result = await engine.migrate({ source, target, partSize: PART_SIZE, onEvent, ...request });
  return { result, events };
}

async function expectThere({ source, target }: Tree, names: readonly string[]): Promise<void> {
  const back = join(stage.folder, 'back');
  for (const name of names) {
    rmSync(back, { force: true });
    await stage.shared.get({ source: target + name, target: back });
    expect([name, readFileSync(back).equals(readFileSync(join(source, name)))]).toEqual([name, true]);
  }
}

const bigFile = Buffer.alloc(2 * PART_SIZE + 17, 'large');

test('small and large files of a tree become objects that open to what they were', async () => {
  const files = { a: 'one', 'sub/b': 'two', 'sub/deep/empty': '', 'large file': bigFile };
  const tree = treeOf('both', files);
  const { result, events } = await migrate(tree);
  expect(result).toMatchObject({ command: 'migrate', object: null, objects: 4, failed: 0, skipped: 0, warnings: [] });
  expect(result.plainBytes).toBe(bigFile.length + 6);
  await expectThere(tree, Object.keys(files));
  const told = events.filter((event) => event.type === 'object');
  expect(told.map(({ name, outcome }) => `${name} ${outcome}`).sort()).toEqual(
    Object.keys(files)
      .map((name) => `${name} done`)
      .sort(),
  );
});
