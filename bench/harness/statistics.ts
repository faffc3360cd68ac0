/** What a few samples say together. Medians and quartiles: on a machine that others share, means are made of outliers. */

export interface Summary {
  count: number;
  median: number;
  /** The middle half of the samples lies between these. */
  lowerQuartile: number;
  upperQuartile: number;
}

/** Throws RangeError where there are none. */
export function summaryOf(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('values: expected some, got none');
  const sorted = values.toSorted((a, b) => a - b);
  return {
    count: sorted.length,
    median: quantile(sorted, 0.5),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
  };
}

/** Of ascending values; between two of them where it falls there. */
function quantile(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (above - below) * (place - Math.floor(place));
}
