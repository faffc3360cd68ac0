/** What a bench is asked, what it tells while it runs, and what comes of it. */
import type { DiskSpeed } from './disk.ts';
import type { Limitation } from './limit.ts';
import type { BenchObjects } from './objects.ts';
import type { Lifter, Profile, Round, Settings } from './round.ts';

/** What is to be measured. */
export interface BenchRequest {
  /** How long it may take, more or less. */
  seconds: number;
  /** Where the test file goes: on the disk that is to be measured. */
  folder: string;
  /** What is decided already. */
  fixed: Partial<Settings>;
  maxMemory?: number | undefined;
  /** Bytes a second that the engines allow, for the judgement. */
  bwlimit?: number | undefined;
  /** The objects are in a sandbox on this machine. */
  isSandbox: boolean;
  signal?: AbortSignal | undefined;
  onEvent: (event: BenchEvent) => void;
}

/** What it tells while it runs. */
export type BenchEvent =
  /** Before anything is written: one object at a time, of so many bytes at most, in files and under the prefix. */
  | { type: 'bench'; prefix: string; folder: string; mostBytes: number }
  | ({ type: 'round' } & Round)
  | { type: 'warning'; message: string };

/** What it is done with. */
export interface BenchMeans {
  objects: BenchObjects;
  engine: (work: { threads: number; lanes: number; stateDir: string; keyReuse: 'off' }) => Promise<Lifter>;
}

/** What came of it. */
export interface BenchResult {
  at: string;
  machine: { processor: string; cores: number; memoryBytes: number; node: string; platform: string };
  /** A data key is asked of KMS, or made here, once a job. */
  target: { prefix: string; isSandbox: boolean; roundTripSeconds: number; dataKeySeconds: number };
  seconds: number;
  disk: DiskSpeed;
  /** Bytes a second of so many threads. */
  cipher: { threads: number; bytesPerSecond: number }[];
  checksumBytesPerSecond: number;
  rounds: Round[];
  /** Under the best settings. */
  put: Profile;
  get: Profile;
  /** Of so many settings. Where none were compared, those that were given, and of the others those a job begins with. */
  best: Settings & { flags: string; compared: number; allGiven: boolean };
  limit: Limitation;
}
