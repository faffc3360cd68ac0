/**
 * What every Store promises, as a suite to run on each. A store's own test file calls `storeContract` and adds what is
 * its alone. Some promises a server of S3 has to keep for us, and some servers do not: those are guards. A guard that a
 * server is known to lack (servers.json) must be seen to be lacking, so that the list stays true.
 */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readWhole, slicesOf } from '../../src/stores/object-stream.ts';
import type { CompletedUpload, ObjectStream, Store, WriteCondition } from '../../src/stores/store.ts';
import servers from './servers.json' with { type: 'json' };

export type Guard = keyof typeof servers.guards;

export interface StoreUnderTest {
  store: Store;
  /** The size the store asks of every part but the last. */
  minPartSize: number;
  /** Keys are names of files. */
  flat?: boolean;
  close(): Promise<void>;
}

export const NEW: WriteCondition = { ifNoneMatch: '*' };

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Puts `body` under `key` with nothing beside it. */
export function put(store: Store, key: string, body: Uint8Array, condition: WriteCondition = {}) {
  return store.putObject(key, body, { metadata: {}, crc32: crc32(body), condition });
}

/** Sends `bodies` as the parts of a new upload, the last first, and returns what Complete needs. */
export async function upload(store: Store, key: string, bodies: readonly Uint8Array[]) {
  const uploadId = await store.createUpload(key, { metadata: { 'sealift-id': 'abc' }, contentType: 'text/x-sealed' });
  const parts: { number: number; etag: string; crc32: number }[] = [];
  for (const [index, body] of [...bodies.entries()].reverse()) {
    const offset = bodies.slice(0, index).reduce((sum, { length }) => sum + length, 0);
    const part = { uploadId, number: index + 1, offset, body, crc32: crc32(body) };
    parts.unshift({ number: part.number, crc32: part.crc32, ...(await store.sendPart(key, part)) });
  }
  const whole = Buffer.concat(bodies);
  return { uploadId, parts, size: whole.length, crc32: crc32(whole), condition: NEW, whole };
}

export function storeContract(
  name: string,
  makeStore: () => Promise<StoreUnderTest>,
  { lacks = [] }: { lacks?: readonly Guard[] } = {},
): void {
  function guard(guard: Guard, title: string, test: () => Promise<void>): void {
    if (lacks.includes(guard)) it.fails(`lacks: ${title}`, test);
    else it(title, test);
  }

  describe(`the store contract: ${name}`, () => {
    let under: StoreUnderTest;
    let store: Store;
    let bodies: readonly Buffer[];
    let keys = 0;
    const newKey = () => (under.flat ? `contract ${keys++}` : `contract/${keys++}`);

    beforeAll(async () => {
      under = await makeStore();
      store = under.store;
      bodies = [randomBytes(under.minPartSize), randomBytes(under.minPartSize), randomBytes(1000)];
    });
    afterAll(() => under.close());

    describe('putObject and head', () => {
      it('keep bytes and headers', async () => {
        const key = newKey();
        const body = randomBytes(5000);
        const answer = await store.putObject(key, body, {
          metadata: { 'sealift-id': 'abc', mtime: '1700000000.5' },
          contentType: 'text/x-sealed',
          crc32: crc32(body),
          condition: NEW,
        });
        const info = await store.head(key);
        expect(info).toMatchObject({
          size: 5000,
          etag: answer.etag,
          metadata: { 'sealift-id': 'abc', mtime: '1700000000.5' },
          contentType: 'text/x-sealed',
        });
        expect(Math.abs(Date.now() - info!.lastModified!.getTime())).toBeLessThan(60_000);
        expect(await readWhole(await store.read(key, { first: 0, last: 4999 }))).toEqual(body);
      });

      it('keep an empty object', async () => {
        const key = newKey();
        await put(store, key, new Uint8Array());
        expect(await store.head(key)).toMatchObject({ size: 0 });
      });

      guard('put-confirmed', 'confirm the checksum, of nothing too', async () => {
        for (const body of [randomBytes(5000), Buffer.alloc(0)]) {
          const key = newKey();
          expect(await put(store, key, body)).toMatchObject({ crc32: crc32(body) });
          expect(await store.head(key)).toMatchObject({ crc32: crc32(body) });
        }
      });

      it('know what is not there', async () => {
        expect(await store.head(newKey())).toBeUndefined();
      });

      it('leave the caller’s bytes alone', async () => {
        const body = randomBytes(5000);
        const before = Buffer.from(body);
        await put(store, newKey(), body);
        expect(body).toEqual(before);
      });

      it('take a view into a larger buffer', async () => {
        const key = newKey();
        const body = randomBytes(5000).subarray(1000, 1500);
        await put(store, key, body);
        expect(await readWhole(await store.read(key, { first: 0, last: 499 }))).toEqual(body);
      });

      guard('put-checksum', 'refuse bytes that do not have their checksum', async () => {
        const key = newKey();
        const options = { metadata: {}, crc32: 1, condition: NEW };
        await expect(store.putObject(key, randomBytes(10), options)).rejects.toMatchObject({
          code: 'checksum-mismatch',
        });
        expect(await store.head(key)).toBeUndefined();
      });

      it.each([['café'], ['line\nbreak'], ['\u0000']])(
        'refuse metadata that no header can carry: %j',
        async (value) => {
          const options = { metadata: { note: value }, crc32: 0, condition: NEW };
          await expect(store.putObject(newKey(), new Uint8Array(), options)).rejects.toMatchObject({
            code: 'bad-option',
          });
          await expect(store.createUpload(newKey(), options)).rejects.toMatchObject({ code: 'bad-option' });
        },
      );

      it('keep every key as it stands', async () => {
        const awkward = [
          '/leading',
          'a//b',
          'a/./b',
          'a/../b',
          '..',
          'dir/',
          ' space ',
          '100%25',
          '%2F',
          'a+b',
          'q?x=1&y#z',
          'quo\'te"',
          '日本語/é',
          'e\u0301',
          '😀',
          'a\\b',
          'tab\there',
        ];
        const isName = (key: string) => !key.includes('/') && key !== '..';
        const possible = awkward.filter((key) => !under.flat || isName(key));
        for (const key of awkward.filter((key) => !possible.includes(key))) {
          await expect(put(store, key, Buffer.from(key)), key).rejects.toMatchObject({ code: 'bad-url' });
        }
        for (const key of possible) await put(store, key, Buffer.from(key));
        for (const key of possible) {
          const body = Buffer.from(key);
          expect(await readWhole(await store.read(key, { first: 0, last: 1000 }))).toEqual(body);
          expect(await store.head(key)).toMatchObject({ size: body.length });
        }
      });
    });

    describe('conditions', () => {
      guard('put-if-none-match', 'a new name is taken only once', async () => {
        const key = newKey();
        await put(store, key, Buffer.from('first'), NEW);
        await expect(put(store, key, Buffer.from('second'), NEW)).rejects.toMatchObject({ code: 'target-exists' });
        expect(await store.head(key)).toMatchObject({ size: 5 });
      });

      guard('put-if-match', 'only the very object seen is replaced', async () => {
        const key = newKey();
        const seen = await put(store, key, Buffer.from('first'));
        await put(store, key, Buffer.from('second'), { ifMatch: seen.etag });
        await expect(put(store, key, Buffer.from('third!'), { ifMatch: seen.etag })).rejects.toMatchObject({
          code: 'target-changed',
        });
        expect(await readWhole(await store.read(key, { first: 0, last: 100 }))).toEqual(Buffer.from('second'));
      });

      it('an object that is gone is not the one seen', async () => {
        await expect(put(store, newKey(), Buffer.from('x'), { ifMatch: '"0"' })).rejects.toMatchObject({
          code: 'target-changed',
        });
      });

      guard('complete-if-none-match', 'a new name is taken only once by uploads', async () => {
        const key = newKey();
        const first = await upload(store, key, bodies);
        const second = await upload(store, key, bodies);
        await store.completeUpload(key, first);
        await expect(store.completeUpload(key, second)).rejects.toMatchObject({ code: 'target-exists' });
      });

      guard('complete-if-match', 'only the very object seen is replaced by an upload', async () => {
        const key = newKey();
        const { etag } = await put(store, key, Buffer.from('first'));
        const sent = await upload(store, key, bodies);
        const other = store.completeUpload(key, { ...sent, condition: { ifMatch: '"0"' } });
        await expect(other).rejects.toMatchObject({ code: 'target-changed' });
        await store.completeUpload(key, { ...sent, condition: { ifMatch: etag } });
        expect(await store.head(key)).toMatchObject({ size: sent.size });
      });
    });

    describe('an upload', () => {
      it('in parts becomes one object', async () => {
        const key = newKey();
        const { whole, ...sent } = await upload(store, key, bodies);
        expect(await store.head(key)).toBeUndefined();
        await store.completeUpload(key, sent);
        const info = await store.head(key);
        expect(info).toMatchObject({
          size: whole.length,
          metadata: { 'sealift-id': 'abc' },
          contentType: 'text/x-sealed',
        });
        const read = await readWhole(
          await store.read(key, { first: 0, last: whole.length - 1 }, { ifMatch: info!.etag }),
        );
        expect(read.equals(whole)).toBe(true);
      });

      guard('complete-confirmed', 'has one confirmed checksum', async () => {
        const key = newKey();
        const sent = await upload(store, key, bodies);
        const { crc32 } = await store.completeUpload(key, sent);
        expect([crc32, (await store.head(key))!.crc32]).toContain(sent.crc32);
      });

      guard('complete-etag', 'tells the ETag of what it became', async () => {
        const key = newKey();
        const { etag } = await store.completeUpload(key, await upload(store, key, bodies));
        expect(await store.head(key)).toMatchObject({ etag });
      });

      it('lists its parts by number, the newest of each', async () => {
        const key = newKey();
        const { uploadId } = await upload(store, key, bodies);
        const again = randomBytes(under.minPartSize);
        const { etag } = await store.sendPart(key, {
          uploadId,
          number: 2,
          offset: again.length,
          body: again,
          crc32: crc32(again),
        });
        const parts = await collect(store.listParts(key, uploadId));
        expect(parts.map(({ number, size }) => ({ number, size }))).toEqual(
          bodies.map((body, index) => ({ number: index + 1, size: body.length })),
        );
        expect(parts[1]).toMatchObject({ number: 2, size: again.length, etag });
        await store.abortUpload(key, uploadId);
      });

      guard('parts-checksums', 'lists the checksums of its parts', async () => {
        const key = newKey();
        const { uploadId } = await upload(store, key, bodies);
        const parts = await collect(store.listParts(key, uploadId));
        expect(parts.map((part) => part.crc32)).toEqual(bodies.map((body) => crc32(body)));
        await store.abortUpload(key, uploadId);
      });

      guard('part-checksum', 'refuses a part that does not have its checksum', async () => {
        const key = newKey();
        const uploadId = await store.createUpload(key, { metadata: {} });
        const part = { uploadId, number: 1, offset: 0, body: bodies[0]!, crc32: 1 };
        await expect(store.sendPart(key, part)).rejects.toMatchObject({ code: 'checksum-mismatch' });
        expect(await collect(store.listParts(key, uploadId))).toEqual([]);
        await store.abortUpload(key, uploadId);
      });

      const wrongs: [Guard, what: string, (sent: Awaited<ReturnType<typeof upload>>) => Partial<CompletedUpload>][] = [
        ['complete-size', 'another size', ({ size }) => ({ size: size - 1 })],
        ['complete-checksum', 'another checksum', ({ crc32 }) => ({ crc32: (crc32 ^ 1) >>> 0 })],
        ['complete-gaps', 'a part left out', ({ parts }) => ({ parts: parts.slice(1) })],
      ];
      for (const [name, what, change] of wrongs) {
        guard(name, `does not complete with ${what}`, async () => {
          const key = newKey();
          const sent = await upload(store, key, bodies);
          await expect(store.completeUpload(key, { ...sent, ...change(sent) })).rejects.toMatchObject({
            code: expect.stringMatching(/^(store-error|checksum-mismatch)$/),
          });
          expect(await store.head(key)).toBeUndefined();
          await store.abortUpload(key, sent.uploadId);
        });
      }

      it('that was aborted is lost, and aborting it again is success', async () => {
        const key = newKey();
        const { uploadId } = await upload(store, key, bodies);
        await store.abortUpload(key, uploadId);
        await store.abortUpload(key, uploadId);
        const parts = collect(store.listParts(key, uploadId));
        await expect(parts).rejects.toMatchObject({ code: 'upload-lost' });
      });

      guard('lost-complete', 'that was aborted is not completed', async () => {
        const key = newKey();
        const sent = await upload(store, key, bodies);
        await store.abortUpload(key, sent.uploadId);
        await expect(store.completeUpload(key, sent)).rejects.toMatchObject({ code: 'upload-lost' });
      });

      guard('lost-part', 'that was aborted takes no part', async () => {
        const key = newKey();
        const uploadId = await store.createUpload(key, { metadata: {} });
        await store.abortUpload(key, uploadId);
        const part = { uploadId, number: 1, offset: 0, body: bodies[0]!, crc32: crc32(bodies[0]!) };
        await expect(store.sendPart(key, part)).rejects.toMatchObject({ code: 'upload-lost' });
      });

      it('is listed under exactly its key', async () => {
        const key = `${newKey()} +é%`;
        const ids = [await store.createUpload(key, { metadata: {} }), await store.createUpload(key, { metadata: {} })];
        const others = [`${key}x`, key.slice(0, -1), ...(under.flat ? [] : [`${key}/x`])];
        for (const other of others) await store.createUpload(other, { metadata: {} });
        const listed = await collect(store.listUploads(key));
        expect(listed.map(({ uploadId }) => uploadId).sort()).toEqual([...ids].sort());
      });

      guard('upload-dates', 'is listed with the time it was begun', async () => {
        const key = newKey();
        await store.createUpload(key, { metadata: {} });
        const [listed] = await collect(store.listUploads(key));
        expect(Math.abs(Date.now() - listed!.initiated.getTime())).toBeLessThan(60_000);
      });
    });

    describe('read', () => {
      const body = randomBytes(100_000);
      let key: string;
      let etag: string;

      beforeAll(async () => {
        key = newKey();
        ({ etag } = await put(store, key, body));
      });

      it('serves any range, cut at the end', async () => {
        const offsets = fc.tuple(fc.nat(body.length - 1), fc.nat(2 * body.length));
        await fc.assert(
          fc.asyncProperty(offsets, async ([first, length]) => {
            const stream = await store.read(key, { first, last: first + length }, { ifMatch: etag });
            expect(stream).toMatchObject({ objectSize: body.length, etag });
            expect(await readWhole(stream)).toEqual(body.subarray(first, first + length + 1));
          }),
          { numRuns: 30 },
        );
      });

      it('refuses a range past the end', async () => {
        await expect(store.read(key, { first: body.length, last: body.length })).rejects.toMatchObject({
          code: 'bad-range',
        });
      });

      guard('get-if-match', 'refuses another object under the name', async () => {
        const ifMatch = '"0"';
        await expect(store.read(key, { first: 0, last: 9 }, { ifMatch })).rejects.toMatchObject({
          code: 'object-changed',
        });
      });

      it('of nothing is object-not-found', async () => {
        await expect(store.read(newKey(), { first: 0, last: 9 })).rejects.toMatchObject({ code: 'object-not-found' });
      });

      it('left in the middle frees what it holds', async () => {
        for (let times = 0; times < 100; times++) {
          for await (const _ of slicesOf(await store.read(key, { first: 0, last: body.length - 1 }), 1000)) break;
        }
        expect(await readWhole(await store.read(key, { first: 5, last: 9 }))).toEqual(body.subarray(5, 10));
      });

      it('stops with its signal', async () => {
        const stop = new AbortController();
        const stream = await store.read(key, { first: 0, last: body.length - 1 }, { signal: stop.signal });
        stop.abort();
        await expect(readWhole(stream)).rejects.toMatchObject({ code: 'interrupted', exit: 4 });
      });
    });

    describe('list', () => {
      const prefix = 'listed é+%20 ';
      const keys = ['1', '10', '2', 'a b', '\u{e000}', '\u{1f600}'].map((name) => `${prefix}${name}`);

      beforeAll(async () => {
        for (const key of [...keys].reverse()) await put(store, key, Buffer.from(key));
        if (!under.flat) for (const name of ['d/1', 'd/e/2']) await put(store, `${prefix}${name}`, Buffer.from(name));
        await store.createUpload(`${prefix}unfinished`, { metadata: {} });
      });

      it('tells the objects of a prefix in the order of their bytes, and no others', async () => {
        const listed = await collect(store.list(prefix));
        const objects = listed.filter((entry) => 'key' in entry);
        expect(objects.map(({ key, size }) => ({ key, size }))).toEqual(
          keys.map((key) => ({ key, size: Buffer.byteLength(key) })),
        );
        for (const { lastModified } of objects) {
          expect(Math.abs(Date.now() - lastModified!.getTime())).toBeLessThan(60_000);
        }
        expect(await collect(store.list(`${prefix}1`))).toHaveLength(2);
        expect(await collect(store.list('no such thing'))).toEqual([]);
      });

      it('goes on behind a key, which need not be there', async () => {
        const behind = async (startAfter: string) =>
          (await collect(store.list(prefix, { startAfter }))).flatMap((entry) => ('key' in entry ? [entry.key] : []));
        expect(await behind(keys[1]!)).toEqual(keys.slice(2));
        expect(await behind(`${prefix}a`)).toEqual(keys.slice(3));
        expect(await behind(keys.at(-1)!)).toEqual([]);
      });

      it('tells what lies behind a slash once, or each of it', async () => {
        if (under.flat) return;
        const prefixes = (await collect(store.list(prefix))).filter((entry) => 'prefix' in entry);
        expect(prefixes).toEqual([{ prefix: `${prefix}d/` }]);
        const all = await collect(store.list(`${prefix}d`, { recursive: true }));
        expect(all).toMatchObject([{ key: `${prefix}d/1` }, { key: `${prefix}d/e/2` }]);
      });
    });

    it('every call stops with its signal', async () => {
      const signal = AbortSignal.abort();
      const key = newKey();
      const part = { uploadId: 'x', number: 1, offset: 0, body: bodies[0]!, crc32: 0 };
      const sent = { uploadId: 'x', parts: [], size: 0, crc32: 0, condition: NEW };
      const calls: Record<string, () => Promise<unknown>> = {
        head: () => store.head(key, { signal }),
        putObject: () => store.putObject(key, bodies[0]!, { metadata: {}, crc32: 0, condition: NEW, signal }),
        createUpload: () => store.createUpload(key, { metadata: {}, signal }),
        sendPart: () => store.sendPart(key, part, { signal }),
        listParts: () => collect(store.listParts(key, 'x', { signal })),
        listUploads: () => collect(store.listUploads(key, { signal })),
        list: () => collect(store.list('', { signal })),
        completeUpload: () => store.completeUpload(key, sent, { signal }),
        abortUpload: () => store.abortUpload(key, 'x', { signal }),
        read: () => store.read(key, { first: 0, last: 9 }, { signal }) as Promise<ObjectStream>,
      };
      for (const [name, call] of Object.entries(calls)) {
        await expect(call(), name).rejects.toMatchObject({ code: 'interrupted' });
      }
    });
  });
}
