/** What a take of the KMS limiter costs, at a rate so high that nobody waits: callers one after another, and a hundred at once. */
import { kmsLimiter } from '../../src/limits/token-bucket.ts';
import type { Case } from '../harness/case.ts';
import { sampleOf } from './timed.ts';

const TAKE_COUNT = 100_000;

export function limiterCases(): Case[] {
  return [1, 100].map((callers) => ({
    name: `limiter, ${callers} at a time`,
    async run() {
      const limiter = kmsLimiter({ ratePerSecond: 10_000_000 });
      const one = async () => {
        for (let count = 0; count < TAKE_COUNT / callers; count++) await limiter.take();
      };
      const all = async () => void (await Promise.all(Array.from({ length: callers }, one)));
      try {
        return await sampleOf(all, { count: TAKE_COUNT });
      } finally {
        await limiter.close();
      }
    },
  }));
}
