/**
 * What has become worse, or better, since another run of the benchmarks. The noise of a figure is how far the middle half
 * of its samples is spread, its interquartile range. A change counts where the medians are further apart than either run's
 * noise, and by more than 2 %: with few rounds a spread can be nothing by chance. Fewer than three samples show no spread.
 */
import { FIGURES, type Figure, type Measured, type Sample } from './case.ts';
import { type Summary, summaryOf } from './statistics.ts';

const LEAST_SAMPLE_COUNT = 3;
const LEAST_CHANGE = 0.02;

export interface Change {
  name: string;
  figure: Figure;
  before: Summary;
  now: Summary;
  isWorse: boolean;
}

/** Changes beyond the noise, of cases and figures that both runs have. */
export function changesBetween(before: readonly Measured[], now: readonly Measured[]): Change[] {
  const old = new Map(before.map(({ name, samples }) => [name, samples]));
  return now.flatMap(({ name, samples }) => changesOf(name, old.get(name) ?? [], samples));
}

function changesOf(name: string, before: readonly Sample[], now: readonly Sample[]): Change[] {
  return (Object.keys(FIGURES) as Figure[]).flatMap((figure) => {
    const [old, fresh] = [valuesOf(before, figure), valuesOf(now, figure)];
    if (Math.min(old.length, fresh.length) < LEAST_SAMPLE_COUNT) return [];
    const change = { name, figure, before: summaryOf(old), now: summaryOf(fresh) };
    const difference = change.now.median - change.before.median;
    const noise = Math.max(spreadOf(change.before), spreadOf(change.now), LEAST_CHANGE * change.before.median);
    if (Math.abs(difference) <= noise) return [];
    return [{ ...change, isWorse: difference > 0 === (FIGURES[figure].better === 'less') }];
  });
}

/** Of the samples that have the figure. */
export function valuesOf(samples: readonly Sample[], figure: Figure): number[] {
  return samples.flatMap((sample) => sample[figure] ?? []);
}

function spreadOf({ lowerQuartile, upperQuartile }: Summary): number {
  return upperQuartile - lowerQuartile;
}
