/** One limit for many, at a real Redis (skipped where there is no redis-server): whoever comes or is lost, it holds. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Limiter } from '../../src/limits/limiter.ts';
import { sharedLimiter } from '../../src/limits/shared.ts';
import { hasRedis, type RedisProcess, startRedis } from '../support/redis.ts';

const RATE = 1000;
/** What is handed out of it. */
const ALL = 0.95 * RATE;
/** So short that nobody waits for it here; only the test that is about it has more. */
const EMPTY_MS = 100;

const open: Limiter[] = [];
const callers = new AbortController();

afterEach(() => {
  vi.useRealTimers();
});

function limiterAt(url: string, { id = 'test', emptyMs = EMPTY_MS, notices = [] as string[] } = {}): Limiter {
  const onNotice = (message: string) => notices.push(message);
  const limiter = sharedLimiter({ url, id, emptyMs, ratePerSecond: RATE, onNotice });
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

  // Where a busy machine stops this process for a second, nothing is held any more: that may cost a try.
  test('two have the same, and a lost Redis leaves each what it had', { retry: 2 }, async () => {
    const notices: string[] = [];
    const both = ['first', 'second'].map(() => limiterAt(redis.url, { notices }));
    for (const limiter of both) useAll(limiter);
    await until(both, (rates) => rates.every((rate) => rate > 0.4 * ALL));
    await redis.kill();
    await until(both, () => notices.length === 2);
    expect(Math.min(...both.map(({ ratePerSecond }) => ratePerSecond))).toBeGreaterThan(0.3 * ALL);
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
});

test('no Redis is an error that says where, and keeps its password', async () => {
  const failed = await limiterAt('redis://user:secret@127.0.0.1:1/0')
    .take()
    .catch((error) => error);
  expect(failed).toMatchObject({ code: 'limiter-unavailable', exit: 5 });
  expect(failed.message).toContain('127.0.0.1:1');
  expect(JSON.stringify(failed) + failed.stack).not.toContain('secret');
});

test.each(['http://127.0.0.1', 'redis://', 'localhost:6379'])('%s is no Redis', (url) => {
  expect(() => limiterAt(url)).toThrow(expect.objectContaining({ code: 'bad-option' }));
});
