/** A job's progress: counted, told to whoever listens, and summed up in its result. */
import { readFileSync } from 'node:fs';
import type { JobEvent, JobResult, ObjectsProgress, RunOptions } from './job.ts';
import type { LaneChange } from './limits/allowance.ts';
import { JobWatch, type ProfileOptions, type StageSeconds } from './parts/stopwatch.ts';

/** A job makes a call or a few. What makes more has met an error that many times, and each is like the others. */
const MOST_REQUEST_IDS = 100;

/** Counts a job's progress and tells it. */
export class Progress {
  readonly #options: RunOptions;
  readonly #started = performance.now();
  readonly #cpu = process.cpuUsage();
  ackedBytes = 0;
  reusedBytes = 0;
  partsReused = 0;
  totalBytes = 0;
  /** Of a migration. */
  objects: (() => ObjectsProgress) | undefined;
  /** What is handed on was verified first. */
  isProven = true;
  #openedBytes = 0;
  #kmsCalls = 0;
  readonly #kmsRequestIds: string[] = [];
  readonly warnings: string[] = [];
  readonly watch: JobWatch;

  constructor(options: RunOptions & ProfileOptions) {
    this.#options = options;
    this.watch = new JobWatch({ runs: options.profileStages ?? false });
  }

  emit(event: JobEvent): void {
    if (event.type === 'warning') this.warnings.push(event.message);
    this.#options.onEvent?.(event);
  }

  readonly countKmsCall = (requestId?: string): void => {
    this.#kmsCalls++;
    if (requestId !== undefined && this.#kmsRequestIds.length < MOST_REQUEST_IDS) this.#kmsRequestIds.push(requestId);
  };

  readonly tellLanes = (change: LaneChange): void => this.emit({ type: 'lanes', ...change });

  readonly warn = (message: string): void => this.emit({ type: 'warning', message });

  /** Nothing counts any more: the object is started again. */
  restart(reason: string): void {
    this.ackedBytes = this.reusedBytes = this.partsReused = this.#openedBytes = 0;
    this.emit({ type: 'restart', reason });
  }

  kept(size: number): void {
    this.reusedBytes += size;
    this.partsReused++;
    this.acked(size);
  }

  acked(size: number): void {
    this.ackedBytes += size;
    const { ackedBytes, totalBytes, reusedBytes } = this;
    const seconds = (performance.now() - this.#started) / 1000;
    const objects = this.objects?.();
    const bytes = { ackedBytes, totalBytes, reusedBytes };
    this.emit({ type: 'progress', ...bytes, kmsCalls: this.#kmsCalls, seconds, ...(objects ? { objects } : {}) });
  }

  /** Where a part's time went, if it tells. */
  moved(stages: StageSeconds | undefined): void {
    if (!stages) return;
    this.watch.add(stages);
    this.emit({ type: 'stages', stages });
  }

  /** Opened to prove the object, and not kept. */
  opened(size: number): void {
    this.#openedBytes += size;
    this.emit({ type: 'proof', openedBytes: this.#openedBytes, totalBytes: this.totalBytes });
  }

  result(
    fixed: Pick<JobResult, 'command' | 'job' | 'object' | 'plainBytes' | 'sealedBytes' | 'parts'> &
      Pick<JobResult, 'etag' | 'versionId' | 'sse' | 'signed' | 'seal'>,
  ): JobResult {
    const cpu = process.cpuUsage(this.#cpu);
    return {
      ...fixed,
      objects: 1,
      failed: 0,
      skipped: 0,
      partsReused: this.partsReused,
      seconds: (performance.now() - this.#started) / 1000,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      peakRssBytes: peakRss(),
      kmsCalls: this.#kmsCalls,
      kmsRequestIds: this.#kmsRequestIds,
      stages: this.watch.seconds,
      warnings: this.warnings,
    };
  }
}

/**
 * The largest resident size of this process so far. On Linux its resource usage begins with the peak of whoever started
 * it, the status file with the program itself.
 */
function peakRss(): number {
  if (process.platform === 'linux') {
    const [, peakKiB] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (peakKiB !== undefined) return Number(peakKiB) * 1024;
  }
  // In KiB whatever the platform's own unit is.
  return process.resourceUsage().maxRSS * 1024;
}
