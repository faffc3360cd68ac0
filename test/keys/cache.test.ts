import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type CacheLimits, cachingKeyring } from '../../src/keys/cache.ts';
import type { DataKey, Keyring, SealingMaterials } from '../../src/keys/keyring.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';

afterEach(() => {
  vi.useRealTimers();
});

const ZERO = Buffer.alloc(32);
const raw = rawAesKeyring({ namespace: 'lab', name: 'n', key: Buffer.alloc(32, 7) });

/** A raw AES keyring that takes a while, as KMS does, and remembers what it gave away. */
function slowKeyring({ ms = 0, failures = 0 } = {}) {
  const given: DataKey[] = [];
  let calls = 0;
  let abortedCalls = 0;
  const wait = async (signal: AbortSignal | undefined) => {
    calls += 1;
    const failing = calls <= failures;
    await sleep(ms, undefined, { signal }).catch(() => {
      abortedCalls += 1;
      throw signal!.reason;
    });
    if (failing) throw new Error(`call ${calls} failed`);
  };
  const keyring: Keyring = {
    id: raw.id,
    async makeDataKey(request) {
      await wait(request.signal);
      const made = await raw.makeDataKey(request);
      given.push(made.dataKey);
      return made;
    },
    async openDataKey(request) {
      await wait(request.signal);
      const opened = await raw.openDataKey(request);
      given.push(opened);
      return opened;
    },
  };
  return {
    keyring,
    /** The keyring's own data keys, in the order they were made: what the cache holds. */
    given,
    get calls() {
      return calls;
    },
    get abortedCalls() {
      return abortedCalls;
    },
  };
}

function cacheOver(inner: Keyring, limits: CacheLimits = {}) {
  const cache = cachingKeyring(inner, limits);
  return {
    cache,
    make: (name = 'a', plainSize?: number, signal?: AbortSignal) =>
      cache.makeDataKey({ encryptionContext: { name }, plainSize, signal }),
    open: (made: SealingMaterials, name = 'a', signal?: AbortSignal) =>
      cache.openDataKey({ encryptionContext: { name }, encryptedDataKeys: made.encryptedDataKeys, signal }),
  };
}

describe('reuse', () => {
  it('is one call for 100 equal requests at once, on both sides', async () => {
    const slow = slowKeyring({ ms: 20 });
    const { cache, make, open } = cacheOver(slow.keyring);
    const made = await Promise.all(Array.from({ length: 100 }, () => make()));
    expect(slow.calls).toBe(1);
    expect(new Set(made.map((one) => one.dataKey.bytes.toString('hex'))).size).toBe(1);
    const opened = await Promise.all(made.map((one) => open(one)));
    expect(slow.calls).toBe(2);
    expect(opened.every((key) => key.bytes.equals(made[0]!.dataKey.bytes))).toBe(true);
    expect(cache.stats()).toEqual({ hits: 198, misses: 2 });
  });

  it('is for equal contexts in any order, and equal wrapped keys, only', async () => {
    const slow = slowKeyring();
    const cache = cachingKeyring(slow.keyring);
    const first = await cache.makeDataKey({ encryptionContext: { a: '1', b: '2' } });
    await cache.makeDataKey({ encryptionContext: { b: '2', a: '1' } });
    expect(slow.calls).toBe(1);
    await cache.makeDataKey({ encryptionContext: { a: '1' } });
    await cache.makeDataKey({ encryptionContext: { a: '1b', '': '2' } });
    expect(slow.calls).toBe(3);
    const encryptionContext = { a: '1', b: '2' };
    const copy = first.encryptedDataKeys[0]!;
    await cache.openDataKey({ encryptionContext, encryptedDataKeys: [copy] });
    await cache.openDataKey({ encryptionContext, encryptedDataKeys: [copy, copy] });
    await cache.openDataKey({ encryptionContext, encryptedDataKeys: [copy] });
    expect(slow.calls).toBe(5);
    // Neither what was made for sealing, nor bytes that read alike, open anything.
    const shifted = {
      providerId: copy.providerId + copy.providerInfo.subarray(0, 1).toString(),
      providerInfo: copy.providerInfo.subarray(1),
      ciphertext: copy.ciphertext,
    };
    for (const encryptedDataKeys of [[], [shifted]]) {
      await expect(cache.openDataKey({ encryptionContext, encryptedDataKeys })).rejects.toMatchObject({
        code: 'wrong-key',
      });
    }
  });

  it('is not for those who ask for a key of their own: nothing of it is kept', async () => {
    const slow = slowKeyring();
    const cache = cachingKeyring(slow.keyring);
    const request = { encryptionContext: { a: '1' }, cacheable: false };
    const made = await cache.makeDataKey(request);
    await cache.makeDataKey(request);
    made[Symbol.dispose]();
    // The caller has the only copy: what was made is what was given away.
    expect(slow.given[0]!.bytes).toEqual(ZERO);
    const { encryptedDataKeys } = made;
    await cache.openDataKey({ ...request, encryptedDataKeys });
    await cache.openDataKey({ ...request, encryptedDataKeys });
    expect(cache.stats()).toEqual({ hits: 0, misses: 4 });
    expect(slow.calls).toBe(4);
    cache.close();
    await expect(async () => cache.makeDataKey(request)).rejects.toMatchObject({ code: 'interrupted' });
  });

  it('gives every caller bytes of his own', async () => {
    const slow = slowKeyring();
    const { make } = cacheOver(slow.keyring);
    const first = await make();
    const second = await make();
    const bytes = Buffer.from(first.dataKey.bytes);
    first[Symbol.dispose]();
    expect(first.dataKey.bytes).toEqual(ZERO);
    expect(second.dataKey.bytes).toEqual(bytes);
    expect((await make()).dataKey.bytes).toEqual(bytes);
    expect(slow.calls).toBe(1);
  });

  it('passes the id of the keyring on', () => {
    expect(cachingKeyring(raw).id).toBe(raw.id);
  });
});

describe('limits', () => {
  it('by messages', async () => {
    const slow = slowKeyring();
    const { make } = cacheOver(slow.keyring, { maxMessages: 3 });
    for (let count = 0; count < 7; count++) await make();
    expect(slow.calls).toBe(3);
  });

  it('by messages, for requests at once too: 1 means no reuse', async () => {
    const slow = slowKeyring({ ms: 10 });
    const { make } = cacheOver(slow.keyring, { maxMessages: 1 });
    const made = await Promise.all(Array.from({ length: 5 }, () => make()));
    expect(slow.calls).toBe(5);
    expect(new Set(made.map((one) => one.dataKey.bytes.toString('hex'))).size).toBe(5);
  });

  it('by plain bytes; a larger object has a key to itself', async () => {
    const slow = slowKeyring();
    const { make } = cacheOver(slow.keyring, { maxBytes: 100 });
    await make('a', 60);
    await make('a', 40);
    expect(slow.calls).toBe(1);
    await make('a', 1);
    expect(slow.calls).toBe(2);
    await make('a', 1000);
    await make('a', 1);
    expect(slow.calls).toBe(4);
  });

  it('never serve a key beyond what it may, whatever comes', async () => {
    const sizes = fc.array(fc.nat(120), { maxLength: 60 });
    const limits = fc.record({
      maxMessages: fc.integer({ min: 1, max: 5 }),
      maxBytes: fc.integer({ min: 1, max: 200 }),
    });
    await fc.assert(
      fc.asyncProperty(sizes, limits, async (plainSizes, { maxMessages, maxBytes }) => {
        const { make } = cacheOver(raw, { maxMessages, maxBytes });
        const used = new Map<string, number[]>();
        const serve = async (plainSize: number) => {
          const key = (await make('a', plainSize)).dataKey.bytes.toString('hex');
          used.set(key, [...(used.get(key) ?? []), plainSize]);
        };
        await Promise.all(plainSizes.map(serve));
        for (const served of used.values()) {
          expect(served.length).toBeLessThanOrEqual(maxMessages);
          const total = served.reduce((sum, size) => sum + size, 0);
          expect(total <= maxBytes || served.length === 1).toBe(true);
        }
      }),
    );
  });

  it('by age: the key is zeroed when its time is up, though nobody asks', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
    const slow = slowKeyring();
    const { make } = cacheOver(slow.keyring, { maxAgeMs: 60_000 });
    const mine = await make();
    vi.advanceTimersByTime(59_999);
    await make();
    expect(slow.calls).toBe(1);
    expect(slow.given[0]!.bytes).toEqual(mine.dataKey.bytes);
    await vi.advanceTimersByTimeAsync(1);
    expect(slow.given[0]!.bytes).toEqual(ZERO);
    expect(mine.dataKey.bytes).not.toEqual(ZERO);
    await make();
    expect(slow.calls).toBe(2);
  });

  it('by number: the one not used for longest goes, and is zeroed', async () => {
    const slow = slowKeyring();
    const { make } = cacheOver(slow.keyring, { maxEntries: 2 });
    await make('a');
    await make('b');
    await make('a');
    await make('c');
    await sleep(0);
    expect(slow.given.map((key) => key.bytes.equals(ZERO))).toEqual([false, true, false]);
    await make('a');
    await make('c');
    expect(slow.calls).toBe(3);
    await make('b');
    expect(slow.calls).toBe(4);
  });

  it('zero a key that is used up only when those who wait for it have theirs', async () => {
    const slow = slowKeyring({ ms: 10 });
    const { make } = cacheOver(slow.keyring, { maxMessages: 2 });
    const made = await Promise.all([make(), make(), make()]);
    expect(slow.calls).toBe(2);
    await sleep(0);
    expect(slow.given[0]!.bytes).toEqual(ZERO);
    for (const { dataKey } of made) expect(dataKey.bytes).not.toEqual(ZERO);
  });
});

describe('one caller who aborts', () => {
  it('fails alone', async () => {
    const slow = slowKeyring({ ms: 30 });
    const { make } = cacheOver(slow.keyring);
    const abort = new AbortController();
    const impatient = make('a', 0, abort.signal);
    const others = [make(), make()];
    abort.abort(new Error('enough'));
    await expect(impatient).rejects.toMatchObject({ code: 'interrupted' });
    others.push(make());
    for (const { dataKey } of await Promise.all(others)) expect(dataKey.bytes).not.toEqual(ZERO);
    expect([slow.calls, slow.abortedCalls]).toEqual([1, 0]);
  });

  it('gives the call up if he was the last, and leaves nothing behind', async () => {
    const slow = slowKeyring({ ms: 10_000 });
    const { make } = cacheOver(slow.keyring);
    const abort = new AbortController();
    const waiting = [make('a', 0, abort.signal), make('a', 0, abort.signal)];
    await sleep(5);
    abort.abort();
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: 'interrupted' });
    await sleep(0);
    expect([slow.calls, slow.abortedCalls]).toEqual([1, 1]);
    const again = new AbortController();
    const next = expect(make('a', 0, again.signal)).rejects.toMatchObject({ code: 'interrupted' });
    expect(slow.calls).toBe(2);
    again.abort();
    await next;
  });

  it('makes no call if he had aborted before', async () => {
    const slow = slowKeyring();
    const { make } = cacheOver(slow.keyring);
    await expect(make('a', 0, AbortSignal.abort())).rejects.toMatchObject({ code: 'interrupted' });
    expect(slow.calls).toBe(0);
  });
});

it('a call that fails is not remembered: those who waited hear of it, the next request calls again', async () => {
  const slow = slowKeyring({ ms: 10, failures: 1 });
  const { cache, make } = cacheOver(slow.keyring);
  const waiting = [make(), make(), make()];
  for (const one of waiting) await expect(one).rejects.toThrow('call 1 failed');
  expect(slow.calls).toBe(1);
  await make();
  expect(slow.calls).toBe(2);
  expect(cache.stats()).toEqual({ hits: 2, misses: 2 });
});

it('closing zeroes every key, gives up every call, and refuses what comes later', async () => {
  const slow = slowKeyring({ ms: 20 });
  const { cache, make, open } = cacheOver(slow.keyring);
  const made = await make('a');
  await open(made, 'a');
  const waiting = expect(make('b')).rejects.toMatchObject({ code: 'interrupted' });
  cache.close();
  await waiting;
  await sleep(0);
  expect(slow.abortedCalls).toBe(1);
  expect(slow.given.map((key) => key.bytes.equals(ZERO))).toEqual([true, true]);
  expect(made.dataKey.bytes).not.toEqual(ZERO);
  await expect(make('a')).rejects.toMatchObject({ code: 'interrupted' });
  await expect(open(made)).rejects.toMatchObject({ code: 'interrupted' });
  expect(slow.calls).toBe(3);
});
