/** One limit for many, at a real Redis (skipped where there is no redis-server): whoever comes or is lost, it holds. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Limiter } from '../../src/limits/limiter.ts';
import { checkRedisUrl } from '../../src/limits/redis-bucket.ts';
import { sharedLimiter } from '../../src/limits/shared.ts';
import { createCertificate } from '../../src/sandbox/tls.ts';
import { hasRedis, openWire, type RedisProcess, startRedis } from '../support/redis.ts';

const RATE = 1000;
/** What is handed out of it. */
const ALL = 0.95 * RATE;
/** So short that nobody waits for it here; only the test that is about it has more. */
const EMPTY_MS = 100;

const open: Limiter[] = [];
const callers = new AbortController();

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

function limiterAt(
  url: string,
  { id = 'test', emptyMs = EMPTY_MS, patienceMs = 60_000, notices = [] as string[] } = {},
): Limiter {
  const onNotice = (message: string) => notices.push(message);
  const limiter = sharedLimiter({ url, id, emptyMs, patienceMs, ratePerSecond: RATE, onNotice });
  open.push(limiter);
  return limiter;
}

/** Wants all there is, from now on. */
function useAll(limiter: Limiter): void {
  const use = async () => {
    for (;;) await limiter.take({ signal: callers.signal });
  };
  use().catch(() => undefined);
}

/** Resolves once it is so; until then, and at that moment, they have no more together than all there is. */
async function until(limiters: readonly Limiter[], isSo: (rates: number[]) => boolean): Promise<void> {
  for (;;) {
    const rates = limiters.map((limiter) => limiter.ratePerSecond);
    expect(rates.reduce((sum, rate) => sum + rate, 0)).toBeLessThanOrEqual(ALL + 1e-9);
    if (isSo(rates)) return;
    await sleep(5);
  }
}

describe.skipIf(!hasRedis)('with redis-server (skipped where there is none)', () => {
  let redis: RedisProcess;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(async () => {
    callers.abort();
    await Promise.all(open.map((limiter) => limiter.close()));
    await redis.kill();
  });

  test('two have the same, and a lost Redis leaves each what it had', async () => {
    const notices: string[] = [];
    const both = ['first', 'second'].map(() => limiterAt(redis.url, { notices }));
    for (const limiter of both) useAll(limiter);
    await until(both, (rates) => {
      const isSo = rates.every((rate) => rate > 0.4 * ALL);
      // However long this machine takes from here on: nothing ends, and nobody stalls.
      if (isSo) vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
      return isSo;
    });
    await redis.kill();
    await until(both, () => notices.length === 2);
    expect(Math.min(...both.map(({ ratePerSecond }) => ratePerSecond))).toBeGreaterThan(0.4 * ALL);
    vi.useRealTimers();
    expect(notices[0]).toMatch(/127\.0\.0\.1:\d+ is lost .* keeps to \d/);
    await redis.start();
    // Here the bucket is empty too short a time for what was kept to have run out.
    while (notices.length < 4) await sleep(5);
    expect(notices[3]).toContain('is back');
    await Promise.all(both.map((limiter) => limiter.close()));
  });

  test('what is new in its Redis is empty at first', async () => {
    const emptyMs = 600;
    const limiter = limiterAt(redis.url, { id: 'new', emptyMs });
    const startMs = Date.now();
    await limiter.take();
    expect(Date.now() - startMs).toBeGreaterThanOrEqual(emptyMs);
  });

  test('one alone has all of it, and after a stall nothing that was held counts any more', async () => {
    const limiter = limiterAt(redis.url, { id: 'stall' });
    useAll(limiter);
    await until([limiter], ([rate]) => rate! >= ALL - 1e-9);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1500 });
    expect(limiter.ratePerSecond).toBe(0);
    await until([limiter], ([rate]) => rate! > 0);
  });

  test('a call that Redis refuses is a lost Redis', async () => {
    const notices: string[] = [];
    const limiter = limiterAt(redis.url, { id: 'refused', notices });
    await limiter.take();
    // A unit that is held would be told when it is given back: this one is, by a stall, before anything is wrong.
    const client = new Redis(redis.url);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1500 });
    expect(limiter.ratePerSecond).toBe(0);
    while ((await client.hget('b_refused_settings', 'running')) !== '0') await sleep(5);
    await client.set('b_refused_client_num_queued', 'nothing that can be counted up');
    useAll(limiter);
    while (notices.length === 0) await sleep(5);
    expect(notices[0]).toMatch(/is lost \(.*WRONGTYPE/);
    await client.del('b_refused_client_num_queued');
    client.disconnect();
    while (notices.length === 1) await sleep(5);
    expect(notices[1]).toContain('is back');
    await limiter.close();
  });

  test('one connection lost is a lost Redis, and who closes while it comes back leaves none open', async () => {
    await using wire = await openWire(redis.url);
    const notices: string[] = [];
    const limiter = limiterAt(wire.url, { id: 'wire', notices });
    await limiter.take();
    const held = wire.hold();
    wire.cutSubscriber();
    const letThrough = await held;
    expect(notices).toEqual([expect.stringContaining('is lost (The connection is closed)')]);
    await limiter.close();
    letThrough();
    while (wire.count > 0) await sleep(5);
  });

  test('who waits for a first unit when Redis is lost is told so, once patience is over', async () => {
    const lone = await startRedis();
    const notices: string[] = [];
    const limiter = limiterAt(lone.url, { emptyMs: 60_000, patienceMs: 1, notices });
    const taken = limiter.take();
    taken.catch(() => undefined);
    const client = new Redis(lone.url);
    while (!(await client.hvals('b_test_client_num_queued')).includes('1')) await sleep(5);
    client.disconnect();
    await lone.kill();
    await expect(taken).rejects.toMatchObject({ code: 'limiter-unavailable' });
  });

  test('rediss:// trusts AWS_CA_BUNDLE', async () => {
    const { ca, ...certificate } = await createCertificate();
    await using wire = await openWire(redis.url, certificate);
    const folder = mkdtempSync(join(tmpdir(), 'sealift-redis-'));
    writeFileSync(join(folder, 'ca.pem'), ca);
    vi.stubEnv('AWS_CA_BUNDLE', join(folder, 'ca.pem'));
    const limiter = limiterAt(wire.url, { id: 'tls' });
    await limiter.take();
    await limiter.close();
    rmSync(folder, { recursive: true });
  });
});

test('no Redis is an error that says where, and keeps its password', async () => {
  const failed = await limiterAt('redis://user:secret@127.0.0.1:1/0')
    .take()
    .catch((error) => error);
  expect(failed).toMatchObject({ code: 'limiter-unavailable', exit: 5 });
  expect(failed.message).toContain('127.0.0.1:1');
  expect(JSON.stringify(failed) + failed.stack).not.toContain('secret');
});

test.each(['http://127.0.0.1', 'redis://', 'localhost:6379', 'user:secret@host'])('%s is no Redis', (url) => {
  expect(() => checkRedisUrl(url)).toThrow(
    expect.objectContaining({ code: 'bad-option', message: expect.not.stringContaining('secret') }),
  );
});
