/** From a bench's result to what its charts and tables show. Arithmetic only. */
import type { BenchResult } from './api.ts';
import { scoresOf } from './choose.ts';
import type { Profile } from './round.ts';

/** Of parts, sorted by how long they took: so many percent took no longer. */
export const PERCENTILES = [50, 75, 90, 95, 99, 100] as const;

/**
 * Moments at which a rate is looked at, no more than can be seen. Lanes end in groups: a moment is as long as two parts of
 * each take, or it would show the groups.
 */
const TURNS_PER_MOMENT = 2;
const LEAST_MOMENTS = 4;
const MOST_MOMENTS = 40;

/** Bytes a second over equal stretches of a job, at the middle of each. */
export function ratesOf({ progress, seconds, lanes }: Profile): { x: number; y: number }[] {
  const wanted = Math.floor(progress.length / (TURNS_PER_MOMENT * lanes));
  const count = Math.min(MOST_MOMENTS, Math.max(LEAST_MOMENTS, wanted));
  const width = seconds / count;
  return Array.from({ length: count }, (_, index) => {
    const bytes = bytesAt(progress, (index + 1) * width) - bytesAt(progress, index * width);
    return { x: (index + 0.5) * width, y: bytes / width };
  });
}

/** Between two acknowledgements the bytes are taken to have come evenly. */
function bytesAt(progress: Profile['progress'], seconds: number): number {
  const after = progress.findIndex((point) => point.seconds >= seconds);
  if (after < 0) return progress.at(-1)?.bytes ?? 0;
  const to = progress[after]!;
  const from = progress[after - 1] ?? { seconds: 0, bytes: 0 };
  const share = to.seconds === from.seconds ? 1 : (seconds - from.seconds) / (to.seconds - from.seconds);
  return from.bytes + share * (to.bytes - from.bytes);
}

/** Seconds, by percentile. */
export function latenciesOf({ partSeconds }: Profile): number[] {
  const sorted = partSeconds.toSorted((one, other) => one - other);
  return PERCENTILES.map((percent) => sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? 0);
}

/** How often as fast as one thread, by the number of threads; undefined where that was not tried. */
export interface Gain {
  threads: number;
  cipher: number | undefined;
  put: number | undefined;
  get: number | undefined;
}

export function gainsOf({ cipher, rounds }: BenchResult): Gain[] {
  const byThreads = (command: 'put' | 'get') =>
    scoresOf(rounds.filter((round) => round.trial === 'threads' && round.command === command));
  const [puts, gets] = [byThreads('put'), byThreads('get')];
  return cipher.map(({ threads }) => ({
    threads,
    cipher: gainAt(cipher, threads),
    put: gainAt(puts, threads),
    get: gainAt(gets, threads),
  }));
}

function gainAt(speeds: readonly { threads: number; bytesPerSecond: number }[], threads: number): number | undefined {
  const of = (count: number) => speeds.find((speed) => speed.threads === count)?.bytesPerSecond;
  const [one, many] = [of(1), of(threads)];
  return one === undefined || many === undefined ? undefined : many / one;
}
