/** One round: a put or a get of the bench's file, under some settings, and what was seen of it. */
import { rm } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { GetRequest } from '../get.ts';
import type { JobEvent, JobResult } from '../job.ts';
import type { Cancelled } from '../jobs.ts';
import type { DamagedJob, JobSummary } from '../ledger/types.ts';
import type { StageSeconds } from '../parts/stopwatch.ts';
import type { PutOptions } from '../put.ts';
import { MiB } from '../units.ts';

/** What there is to be found out. */
export interface Settings {
  threads: number;
  /** Parts in flight over all threads. */
  lanes: number;
  partSize: number;
}

/** What a round is run for: to size the others, to try one of the settings, to have an object, to look closely. */
export type Trial = 'first' | keyof Settings | 'object' | 'last';

/** What a round came to. */
export interface Round extends Settings {
  trial: Trial;
  command: 'put' | 'get';
  bytes: number;
  seconds: number;
  bytesPerSecond: number;
  /** Of this process: a sandbox has one of its own. */
  cpuSeconds: number;
  /** Share of all the processors there are for this process that were busy, whoever kept them so. */
  busy: number;
}

/** A round that was looked at part by part. */
export interface Profile extends Round {
  stages: StageSeconds;
  /** Bytes acknowledged up to a moment, from the first to the last. */
  progress: { seconds: number; bytes: number }[];
  /** Seconds that each part was on the network, in the order they ended. */
  partSeconds: number[];
}

/** What lifts objects: an engine. */
export interface Lifter extends AsyncDisposable {
  put(request: PutOptions): Promise<JobResult>;
  get(request: GetRequest): Promise<JobResult>;
  jobs(): (JobSummary | DamagedJob)[];
  cancel(id: string): Promise<Cancelled>;
}

/** S3's least: two of them are enough to start threads. */
export const STARTER_PART_SIZE = 5 * MiB;
export const STARTER_SIZE = 2 * STARTER_PART_SIZE;

/** Files that the engines share: what is put, what is got, what only starts their threads. */
export interface Files {
  source: string;
  target: string;
  /** Of some parts of the least size. */
  starter: string;
}

export function filesIn(folder: string): Files {
  return { source: join(folder, 'source'), target: join(folder, 'target'), starter: join(folder, 'starter') };
}

export interface RoundNeeds {
  files: Files;
  object: string;
  signal: AbortSignal | undefined;
  /** Hears of an upload that could not be aborted. */
  onLeft: (object: string) => void;
}

/**
 * Has the engine's threads started, by an object that stays on the disk, and then puts or gets `object`. Whatever happens
 * no upload is left open that could be aborted.
 */
export async function runRound(
  engine: Lifter,
  { command, partSize, ...others }: Settings & Pick<Round, 'command' | 'trial'>,
  { files, object, signal, onLeft }: RoundNeeds,
): Promise<Profile> {
  const starter = pathToFileURL(`${files.starter}.sealed`).href;
  await engine.put({ source: files.starter, target: starter, partSize: STARTER_PART_SIZE, overwrite: true, signal });
  const progress: Profile['progress'] = [{ seconds: 0, bytes: 0 }];
  const partSeconds: number[] = [];
  const onEvent = (event: JobEvent) => {
    if (event.type === 'progress') progress.push({ seconds: event.seconds, bytes: event.ackedBytes });
    if (event.type === 'stages') partSeconds.push(event.stages.network);
  };
  const heard = { profileStages: true, onEvent, signal };
  const before = processorMs();
  try {
    const { plainBytes, seconds, cpuSeconds, stages } = await (command === 'put'
      ? engine.put({ source: files.source, target: object, partSize, ...heard })
      : engine.get({ source: object, target: files.target, overwrite: true, ...heard }));
    const after = processorMs();
    const round = { command, partSize, ...others, bytes: plainBytes, seconds, bytesPerSecond: plainBytes / seconds };
    const idle = (after.idle - before.idle) / (after.all - before.all || 1);
    const busy = busyShare({ idle, ownShare: ownShareOf({ cpuSeconds, seconds }, availableParallelism()) });
    return { ...round, cpuSeconds, busy, stages: stages!, progress, partSeconds };
  } finally {
    for (const { id, state } of engine.jobs()) {
      if (state !== 'done' && (await engine.cancel(id)) === 'left') onLeft(object);
    }
    await rm(files.target, { force: true });
  }
}

/** Share of so many processors that this process had. */
export function ownShareOf({ cpuSeconds, seconds }: Pick<Round, 'cpuSeconds' | 'seconds'>, cores: number): number {
  return cpuSeconds / (seconds * cores);
}

/**
 * The system tells how idle the whole machine was, of which a process may have a few processors only: they are at least
 * as busy as the process itself. And its count of idle time may step back a little.
 */
export function busyShare({ idle, ownShare }: { idle: number; ownShare: number }): number {
  return Math.min(1, Math.max(0, 1 - idle, ownShare));
}

function processorMs(): { idle: number; all: number } {
  const times = cpus().map((cpu) => cpu.times);
  const sum = (values: number[]) => values.reduce((one, other) => one + other, 0);
  return { idle: sum(times.map(({ idle }) => idle)), all: sum(times.flatMap((time) => Object.values(time))) };
}
