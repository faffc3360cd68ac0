/**
 * What is promised of Sealift's speed, as ratios of figures that were taken side by side: a machine's own pace, and what
 * others do on it, cancel out. A ratio is formed in every round, and the median of these is judged. The names are those
 * of cases; where one was not run, nothing is said of what it stands in.
 */
import { GiB, MiB } from '../src/units.ts';
import type { Figure, Measured } from './harness/case.ts';
import { type Summary, summaryOf } from './harness/statistics.ts';

/** A case's figure in one round. NaN where there is none. */
type At = (name: string, figure: Figure) => number;

export interface Bound {
  says: string;
  of: (at: At) => number;
  /** Judge the largest, not the median: it must hold in every round. */
  isForEach?: true;
  atLeast?: number;
  atMost?: number;
}

export interface Verdict {
  says: string;
  limit: string;
  value: Summary;
  holds: boolean;
}

/** What they are made for; of less, what starts and ends a run is too much of it. */
export const LEAST_SIZE = GiB;
export const LEAST_OBJECT_COUNT = 10_000;

const FORMATS = ['esdk', 's3ec'];
/** `--max-memory` where nobody says otherwise. */
const MAX_MEMORY = 512 * MiB;
const PARTS_PER_GIB = 128;

/** What starts Sealift as people do. */
const OUR_CASES = [
  ...['put/sealift', 'put/sealift --seal none', 'put/sealift --format s3ec', 'put/sealift --sign'],
  ...['get/sealift', 'get/sealift --seal none', 'get/sealift --format s3ec'],
  ...['many/sealift migrate', 'start/put of 1 MiB'],
];
const measuredOf = (values: readonly number[]) => values.filter((value) => !Number.isNaN(value));

const cpu = (name: string) => (at: At) => at(name, 'cpu');
const sealedCpu = cpu('pipeline/seal esdk, 1 thread');
const bareCpu = (at: At) =>
  at('pipeline/read', 'cpu') + at('pipeline/cipher, 1 thread', 'cpu') + at('pipeline/crc32', 'cpu');
/** How much sooner two threads are done than one. */
const gain = (name: string, at: At) => at(`${name}, 1 thread`, 'wall') / at(`${name}, 2 threads`, 'wall');
const cpuShare = (name: string, other: string) => (at: At) => at(name, 'cpu') / at(other, 'cpu');

export const BOUNDS: readonly Bound[] = [
  {
    says: 'sealing in one thread, over read, cipher and CRC32 each alone',
    of: (at) => sealedCpu(at) / bareCpu(at),
    atMost: 1.2,
  },
  {
    says: 'sealing in one thread, over @aws-crypto/client-node as it comes',
    of: cpuShare('pipeline/seal esdk, 1 thread', 'pipeline/client-node encrypts'),
    atMost: 1 / 15,
  },
  {
    says: 'sealing in one thread, over @aws-crypto/client-node in frames of 1 MiB',
    of: cpuShare('pipeline/seal esdk, 1 thread', 'pipeline/client-node encrypts, frames of 1 MiB'),
    atMost: 1 / 2,
  },
  ...FORMATS.map((format) => ({
    says: `what sealing ${format} gains by a second thread, over what the cipher gains`,
    of: (at: At) => gain(`pipeline/seal ${format}`, at) / gain('pipeline/cipher', at),
    atLeast: 0.9,
  })),
  ...FORMATS.map((format) => ({
    says: `what opening ${format} gains by a second thread, over what the cipher gains`,
    of: (at: At) => gain(`pipeline/open ${format}`, at) / gain('pipeline/cipher', at),
    atLeast: 0.9,
  })),
  ...['put', 'get'].flatMap((command) => [
    {
      says: `${command}, CPU over aws s3 cp without encryption`,
      of: cpuShare(`${command}/sealift`, `${command}/aws s3 cp`),
      atMost: 0.5,
    },
    {
      says: `${command}, CPU over rclone crypt`,
      of: cpuShare(`${command}/sealift`, `${command}/rclone crypt`),
      atMost: 0.15,
    },
  ]),
  {
    says: 'what sealing adds to a put, CPU over the cipher alone',
    of: (at) =>
      (at('put/sealift', 'cpu') - at('put/sealift --seal none', 'cpu')) / at('pipeline/cipher, 1 thread', 'cpu'),
    atMost: 1.3,
  },
  {
    says: 'what the ledger takes of a put, CPU',
    of: (at) => (at('micro/ledger, 8 lanes', 'cpuEach') * PARTS_PER_GIB) / 1e6 / at('put/sealift', 'cpu'),
    atMost: 0.02,
  },
  {
    says: 'peak of any of our processes in any round, over --max-memory',
    of: (at) => (Math.max(...measuredOf(OUR_CASES.map((name) => at(name, 'peak')))) * MiB) / MAX_MEMORY,
    atMost: 1,
    isForEach: true,
  },
  {
    says: 'small objects a second, over rclone crypt',
    of: (at) => at('many/sealift migrate', 'objectsPerSecond') / at('many/rclone crypt', 'objectsPerSecond'),
    atLeast: 3,
  },
  { says: 'KMS calls for the small objects', of: (at) => at('many/sealift migrate', 'kmsCalls'), atMost: 3 },
  { says: '1 MiB from start to exit, s', of: (at) => at('start/put of 1 MiB', 'wallSeconds'), atMost: 0.6 },
  { says: '--help from start to exit, s', of: (at) => at('start/--help', 'wallSeconds'), atMost: 0.15 },
  {
    says: 'CPU of a put of 64 GiB, over that of 1 GiB, each a GiB',
    of: cpuShare('growth/put of 64 GiB', 'growth/put of 1 GiB'),
    atMost: 1.1,
  },
  {
    says: 'peak of a put of 64 GiB, over that of 1 GiB',
    of: (at) => at('growth/put of 64 GiB', 'peak') / at('growth/put of 1 GiB', 'peak'),
    atMost: 1.1,
  },
];

/** Of the bounds whose cases were run. */
export function judge(cases: readonly Measured[], bounds: readonly Bound[] = BOUNDS): Verdict[] {
  const samples = new Map(cases.map((one) => [one.name, one.samples]));
  const rounds = Math.max(0, ...cases.map((one) => one.samples.length));
  return bounds.flatMap(({ says, of, atLeast, atMost, isForEach }) => {
    const values = Array.from({ length: rounds }, (_, round) =>
      of((name, figure) => samples.get(name)?.[round]?.[figure] ?? Number.NaN),
    ).filter(Number.isFinite);
    if (values.length === 0) return [];
    const value = summaryOf(values);
    const judged = isForEach ? Math.max(...values) : value.median;
    const limit = atMost === undefined ? `at least ${atLeast!.toFixed(2)}` : `at most ${atMost.toFixed(2)}`;
    const holds = judged >= (atLeast ?? Number.NEGATIVE_INFINITY) && judged <= (atMost ?? Number.POSITIVE_INFINITY);
    return [{ says, limit, value, holds }];
  });
}
