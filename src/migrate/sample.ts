/**
 * Some of many rows, chosen by chance and yet by anybody alike who knows the seed: as many as are asked for, each with the
 * same chance, in one pass and with nothing held (Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S).
 */
import { hash } from 'node:crypto';

/** All of them, a number of them, or a share of all, above 0 and at most 1: then at least one. */
export type Sample = 'all' | { count: number } | { share: number };

/** How many of so many are asked for. */
export function sampleCount(sample: Sample, of: number): number {
  if (sample === 'all') return of;
  return Math.min(of, 'count' in sample ? sample.count : Math.ceil(of * sample.share));
}

/** `count` of the first `of` rows. */
export function* chosen<Row>(
  rows: Iterable<Row>,
  { count, of, seed }: { count: number; of: number; seed: string },
): Generator<Row, void> {
  let left = of;
  let wanted = count;
  for (const row of rows) {
    if (wanted === 0) return;
    if (chance(seed, left) * left < wanted) {
      wanted--;
      yield row;
    }
    left--;
  }
}

/** At least 0, less than 1. */
function chance(seed: string, turn: number): number {
  return hash('sha256', `sealift sample ${seed} ${turn}`, 'buffer').readUIntBE(0, 6) / 2 ** 48;
}
