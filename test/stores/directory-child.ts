/**
 * Writes an object in two parts, and kills its own process before the step of a number. Every call that changes a file
 * or a name, or puts one on the disk, is a step; a file that was just made is seen before its first write.
 * Step 0 never comes; the names of all steps are printed at the end. `node directory-child.ts DIRECTORY STEP [ETAG]`
 */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { crc32 } from 'node:zlib';
import { DirectoryStore } from '../../src/stores/directory.ts';
import type { WriteCondition } from '../../src/stores/store.ts';

const [directory, step, etag] = process.argv.slice(2);
const steps: string[] = [];

/** Makes methods of an object steps. */
function watch(object: object, names: readonly string[]): void {
  const methods = object as Record<string, (...args: unknown[]) => unknown>;
  for (const name of names) {
    const original = methods[name]!;
    methods[name] = function (this: unknown, ...args: unknown[]) {
      if (steps.push(name) === Number(step)) process.kill(process.pid, 'SIGKILL');
      return original.apply(this, args);
    };
  }
}

const anyFile = await fs.open(import.meta.filename);
watch(Object.getPrototypeOf(anyFile), ['write', 'sync', 'datasync']);
await anyFile.close();
watch(fs, ['mkdir', 'link', 'rename', 'rm']);
syncBuiltinESMExports();

const bodies = [Buffer.alloc(70_000, 'new 1'), Buffer.alloc(100, 'new 2')];
const whole = Buffer.concat(bodies);
const condition: WriteCondition = etag ? { ifMatch: etag } : { ifNoneMatch: '*' };
const store = new DirectoryStore({ directory: directory! });
const uploadId = await store.createUpload('x', { metadata: { version: 'new' } });
const parts = [];
for (const [index, body] of bodies.entries()) {
  const part = { uploadId, number: index + 1, offset: index * bodies[0]!.length, body, crc32: crc32(body) };
  parts.push({ ...part, ...(await store.sendPart('x', part)) });
}
await store.completeUpload('x', { uploadId, parts, size: whole.length, crc32: crc32(whole), condition });
if (Number(step) === 0) console.log(steps.join(' '));
