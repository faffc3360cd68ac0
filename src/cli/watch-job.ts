/**
 * `sealift jobs JOB --watch`: a running job, seen from another terminal. It is read from its ledger again and again, and does
 * not notice.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { JobSummary } from '../index.ts';
import { objectsLine, objectsLineWithin } from './objects-progress.ts';
import type { Output } from './output.ts';
import { progressLine, progressText, type Standing } from './progress.ts';
import { Rate } from './rate.ts';

const BEAT_MS = 1000;
/** To read millions of objects takes its time; so many times that passes before they are read again. */
const REST_FACTOR = 10;
/** Objects settle in bursts, and large ones all at once. */
const RATE_WINDOW_MS = 30_000;
/** How often it is told where no line can change in place. */
const LOG_MS = 30_000;

export interface Watched {
  /** The job as it is now. */
  read: () => JobSummary;
  /** Hears of the job each time it was read. */
  tell: (job: JobSummary) => void;
  output: Output;
  pause?: (ms: number) => Promise<void>;
}

/** Shows a job until nobody is at work on it any more. Resolves to what it was last. */
export async function watchJob({ read, tell, output, pause = delay }: Watched): Promise<JobSummary> {
  const rate = new Rate(RATE_WINDOW_MS);
  let loggedMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const startedMs = performance.now();
    const job = read();
    const ms = performance.now();
    tell(job);
    if (!job.running) {
      output.clearStatus();
      return job;
    }
    rate.add(job.bytesDone, ms);
    const now = standingOf(job, rate);
    if (output.hasStatusLine) {
      output.status(linesOf(job, now, output.statusWidth).join('\n'));
    } else if (ms - loggedMs >= LOG_MS) {
      loggedMs = ms;
      output.say([progressText(now), ...objectsOf(job).map(objectsLine)].join('; '));
    }
    await pause(Math.max(BEAT_MS, REST_FACTOR * (ms - startedMs)));
  }
}

function linesOf(job: JobSummary, now: Standing, width: number): string[] {
  return [progressLine(now, width), ...objectsOf(job).map((objects) => objectsLineWithin(objects, width))];
}

function standingOf({ bytesDone, bytesTotal }: JobSummary, { perSecond: rate }: Rate): Standing {
  const bytes = { ackedBytes: bytesDone, totalBytes: bytesTotal, reusedBytes: 0, openedBytes: 0 };
  return { ...bytes, rate, throttled: false };
}

/** Of a migration, what there is to see of its objects. A service's wishes stand in no ledger. */
function objectsOf({ objects, failures = {}, listing = false }: JobSummary) {
  if (!objects) return [];
  const { done, skipped, failed } = objects;
  const listed = Object.values(objects).reduce((sum, { count }) => sum + count, 0);
  const counts = { listed, done: done.count, skipped: skipped.count, failed: failed.count };
  return [{ ...counts, listing, failures: new Map(Object.entries(failures)), throttles: 0 }];
}
