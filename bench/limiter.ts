/**
 * How many takes a second the KMS limiter itself passes, at a rate so high that only its own cost is left: callers
 * one after another, and a hundred at once. `node bench/limiter.ts`
 */
import Benchmark from 'benchmark';
import { kmsLimiter } from '../src/limits/token-bucket.ts';

const TAKES_PER_RUN = 100_000;

const limiter = kmsLimiter({ ratePerSecond: 10_000_000 });

async function takeAll(callers: number): Promise<void> {
  const oneCaller = async () => {
    for (let count = 0; count < TAKES_PER_RUN / callers; count++) await limiter.take();
  };
  await Promise.all(Array.from({ length: callers }, oneCaller));
}

const suite = new Benchmark.Suite();
for (const callers of [1, 100]) {
  suite.add(`${callers} at a time`, {
    defer: true,
    maxTime: 3,
    fn: (deferred: { resolve(): void }) => {
      takeAll(callers).then(() => deferred.resolve());
    },
  });
}
suite
  .on('cycle', (event: Benchmark.Event) => {
    const { name, hz, stats } = event.target;
    const takesPerSecond = Math.round((hz ?? 0) * TAKES_PER_RUN);
    console.log(`${name}: ${takesPerSecond.toLocaleString('en')} takes/s ±${(stats?.rme ?? 0).toFixed(1)} %`);
  })
  .on('complete', () => limiter.close())
  .run({ async: true });
