/**
 * `kill -9` before every single step of writing an object into a directory: what has the name is always the old object
 * or the new one, whole and with its own headers, and whoever goes on gets the new one there.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { SealiftError } from '../../src/errors.ts';
import { DirectoryStore } from '../../src/stores/directory.ts';
import { readWhole } from '../../src/stores/object-stream.ts';
import { collect } from './contract.ts';

const root = mkdtempSync(join(tmpdir(), 'sealift-test-'));
afterAll(() => rmSync(root, { recursive: true }));

const CHILD = join(import.meta.dirname, 'directory-child.ts');
const env = { ...process.env, NODE_COMPILE_CACHE: join(root, 'cache') };

const OLD = Buffer.from('old');
const NEW = Buffer.concat([Buffer.alloc(70_000, 'new 1'), Buffer.alloc(100, 'new 2')]);

async function stateOf(store: DirectoryStore): Promise<'none' | 'old' | 'new'> {
  const info = await store.head('x');
  if (!info) return 'none';
  const bytes = await readWhole(await store.read('x', { first: 0, last: info.size - 1 }, { ifMatch: info.etag }));
  const state = bytes.equals(NEW) ? 'new' : 'old';
  expect(bytes).toEqual(state === 'new' ? NEW : OLD);
  expect(info).toMatchObject({ metadata: { version: state }, crc32: crc32(bytes) });
  return state;
}

/** Completes what is there of the upload, if all its parts are, and removes it otherwise. */
async function goOn(store: DirectoryStore, etag: string | undefined): Promise<void> {
  const condition = etag === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: etag };
  for (const { uploadId } of await collect(store.listUploads('x'))) {
    try {
      const parts = (await collect(store.listParts('x', uploadId))).map((part) => ({ ...part, crc32: part.crc32! }));
      if (parts.length < 2) continue;
      await store.completeUpload('x', { uploadId, parts, size: NEW.length, crc32: crc32(NEW), condition });
    } catch (error) {
      // Its object has its name already, or it had not been made whole.
      if (!(error instanceof SealiftError) || error.code !== 'upload-lost') throw error;
    } finally {
      await store.abortUpload('x', uploadId);
    }
  }
}

/** Kills before one step, looks, goes on. False where the write has fewer steps. */
async function crashAt(step: number, before: 'none' | 'old', seen: Set<string>): Promise<boolean> {
  const directory = join(root, `${before}-${step}`);
  mkdirSync(directory);
  const store = new DirectoryStore({ directory });
  const options = { metadata: { version: 'old' }, crc32: crc32(OLD), condition: {} };
  const etag = before === 'old' ? (await store.putObject('x', OLD, options)).etag : undefined;
  const args = [CHILD, directory, String(step), ...(etag ? [etag] : [])];
  const [exit, signal] = await once(spawn(process.execPath, args, { stdio: 'inherit', env }), 'close');
  if (signal === null) expect(exit).toBe(0);

  const state = await stateOf(store);
  expect(signal === null ? ['new'] : [before, 'new']).toContain(state);
  const uploadsBefore = await collect(store.listUploads('x'));
  const isWhole = uploadsBefore.length === 1 && (await partCount(store, uploadsBefore[0]!.uploadId)) === 2;
  await goOn(store, etag);
  const after = await stateOf(store);
  expect(after).toBe(isWhole ? 'new' : state);
  seen.add(`${state}, then ${after}`);
  const leftOver = readdirSync(directory).filter((name) => name !== 'x' && !name.endsWith('.json'));
  // Headers on their way to their name: nothing else of a kill stays, once its upload is removed.
  expect(leftOver.length).toBeLessThanOrEqual(1);
  return signal !== null;
}

async function partCount(store: DirectoryStore, uploadId: string): Promise<number> {
  return (await collect(store.listParts('x', uploadId)).catch(() => [])).length;
}

test('everything is on the disk before anything relies on it', () => {
  const directory = join(root, 'steps');
  mkdirSync(directory);
  const steps = execFileSync(process.execPath, [CHILD, directory, '0'], { env, encoding: 'utf8' }).trim();
  const file = 'write sync';
  const empty = 'sync';
  const create = ['mkdir', file, empty, empty, 'sync', 'sync'];
  const part = ['write datasync', 'write datasync'];
  const headers = [file, 'rename', 'rm', 'sync'];
  const name = ['link', 'rm', 'sync'];
  const cleanUp = ['rm', 'sync'];
  expect(steps).toBe([...create, ...part, ...part, 'sync', ...headers, ...name, ...cleanUp].join(' '));
});

test.each(['none', 'old'] as const)(
  'killed before every step, with %s there before',
  async (before) => {
    const seen = new Set<string>();
    const steps = Array.from({ length: 100 }, (_, index) => index + 1).values();
    let killCount = 0;
    const lane = async () => {
      for (const step of steps) {
        if (!(await crashAt(step, before, seen))) return;
        killCount++;
      }
    };
    await Promise.all([lane(), lane(), lane()]);
    expect(killCount).toBeGreaterThan(15);
    expect(seen).toEqual(new Set([`${before}, then ${before}`, `${before}, then new`, 'new, then new']));
  },
  60_000,
);
