/**
 * What is measured: cases, in groups that share what they need. A case is run again and again, and each run gives a
 * sample: a few figures, always the same ones. A figure knows its name and its unit, and which way is better.
 */

export const FIGURES = {
  cpu: { title: 'CPU s/GiB', better: 'less' },
  user: { title: 'user', better: 'less' },
  system: { title: 'system', better: 'less' },
  wall: { title: 'wall s/GiB', better: 'less' },
  cpuSeconds: { title: 'CPU s', better: 'less' },
  wallSeconds: { title: 'wall s', better: 'less' },
  cpuEach: { title: 'CPU µs each', better: 'less' },
  wallEach: { title: 'wall µs each', better: 'less' },
  objectsPerSecond: { title: 'objects/s', better: 'more' },
  peak: { title: 'peak MiB', better: 'less' },
  memoryShare: { title: 'of --max-memory', better: 'less' },
  connections: { title: 'connections', better: 'less' },
  kmsCalls: { title: 'KMS calls', better: 'less' },
} as const satisfies Record<string, { title: string; better: 'less' | 'more' }>;

export type Figure = keyof typeof FIGURES;

/** What one run came to. */
export type Sample = Partial<Record<Figure, number>>;

export interface Case {
  /** Unique in its group. What is set differently from a program's defaults is in it, or in the group's `about`. */
  name: string;
  /** Whether what it measures is on this machine. Default: it is. */
  isThere?: () => boolean;
  /** Before the first run, and not measured. */
  prepare?: () => Promise<void>;
  /** `round` counts from 1; the warm-up is round 0. */
  run: (round: number) => Promise<Sample>;
}

export interface Group {
  name: string;
  /** What all its cases have in common, for whoever reads the figures. */
  about: string;
  cases: readonly Case[];
  /** Takes long and answers what is seldom asked: it is run only where it is named. */
  isSeldom?: boolean;
  /** Whether each case is run once before anything counts. */
  warmUp?: boolean;
  /** Gives back what the cases made. */
  close?: () => Promise<void>;
}

/** What whoever starts the program decides. */
export interface Setting {
  /** Bytes that go through each case that has to do with bytes. */
  size: number;
  /** Small objects that go through each case that has to do with many. */
  objectCount: number;
  /** Of this run alone, removed when it ends. */
  folder: string;
  /** Where bench/peers has put other programs. Those on the PATH are found too. */
  peers: string;
}

/** A case as it came out. Without samples it was not there. */
export interface Measured {
  /** Group and name: `put/sealift`. */
  name: string;
  samples: readonly Sample[];
}
