/**
 * A function measured by the package `benchmark`: it finds out how often to call it, and a sample is what one such
 * measurement says. Wall time is benchmark's; CPU time counts all threads of the process, over all calls it made.
 */
import Benchmark from 'benchmark';
import { GiB } from '../../src/units.ts';
import type { Case, Sample } from '../harness/case.ts';

/** Enough for the clock; the rounds take care of the rest. */
const SECONDS_A_SAMPLE = 0.2;
const CALLS_AT_LEAST = 5;

/** How much one call does: so many bytes, or so many of whatever the name says. */
export type Amount = { bytes: number } | { count: number };

export function timed(name: string, amount: Amount, work: () => void | Promise<void>): Case {
  return { name, run: () => sampleOf(work, amount) };
}

/** Rejects with what `work` throws. */
export function sampleOf(work: () => void | Promise<void>, amount: Amount): Promise<Sample> {
  let callCount = 0;
  const before = process.cpuUsage();
  return new Promise((resolve, reject) => {
    const benchmark = new Benchmark({
      defer: true,
      maxTime: SECONDS_A_SAMPLE,
      minSamples: CALLS_AT_LEAST,
      fn: async (deferred: { resolve(): void }) => {
        callCount++;
        await work();
        deferred.resolve();
      },
      onError: () => reject(benchmark.error),
      onComplete: () => {
        const { user, system } = process.cpuUsage(before);
        resolve(sampleFrom({ cpu: (user + system) / 1e6 / callCount, wall: benchmark.stats.mean }, amount));
      },
    });
    benchmark.run();
  });
}

/** From seconds a call. */
export function sampleFrom({ cpu, wall }: { cpu: number; wall: number }, amount: Amount): Sample {
  if ('bytes' in amount) return { cpu: (cpu * GiB) / amount.bytes, wall: (wall * GiB) / amount.bytes };
  return { cpuEach: (cpu * 1e6) / amount.count, wallEach: (wall * 1e6) / amount.count };
}
