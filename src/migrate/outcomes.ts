/** What becomes of each object: written down, counted, told, and where it has failed decided whether it is tried again. */
import { type ErrorCode, SealiftError } from '../errors.ts';
import type { Tools } from '../job.ts';
import type { BulkLedger } from '../ledger/bulk.ts';
import type { ObjectRow, TargetFacts } from '../ledger/types.ts';
import type { Progress } from '../progress.ts';
import { Moving } from './moving.ts';
import { failsAll, type Pause } from './pause.ts';
import type { Queue } from './queue.ts';

/** Times an object is tried whose failure may pass. */
export const MAX_ATTEMPTS = 3;
/** So many failures of one kind with nothing done between them are no accident any more. */
const STREAK_COUNT = 1000;

/** What may be otherwise a while later. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'store-throttled',
  'store-unavailable',
  'checksum-mismatch',
  'source-changed',
  'object-changed',
  'upload-lost',
]);

/** What an object came to. */
export type Outcome =
  /** `size`: its plain bytes, where the listing did not know them. */
  | { state: 'done'; target: TargetFacts; size?: number }
  | { state: 'skipped' }
  | { state: 'failed'; error: SealiftError };

export interface Settled {
  object: ObjectRow;
  outcome: Outcome;
}

export class Outcomes {
  readonly #ledger: BulkLedger;
  readonly #progress: Progress;
  readonly #pause: Pause;
  readonly #moving = new Moving();
  readonly #counts = { listed: 0, done: 0, failed: 0, skipped: 0 };
  #streak: { code: ErrorCode; count: number } | undefined;

  /** Counts from what the ledger has already. */
  constructor({
    ledger,
    progress,
    pause,
    queue,
    kmsPerSecond,
  }: { ledger: BulkLedger; progress: Progress; pause: Pause; queue: Queue } & Pick<Tools, 'kmsPerSecond'>) {
    this.#ledger = ledger;
    this.#progress = progress;
    this.#pause = pause;
    const counts = ledger.counts();
    const all = Object.values(counts);
    this.#counts.listed = all.reduce((sum, { count }) => sum + count, 0);
    for (const state of ['done', 'failed', 'skipped'] as const) this.#counts[state] = counts[state].count;
    progress.totalBytes = all.reduce((sum, { bytes }) => sum + bytes, 0);
    progress.ackedBytes = progress.reusedBytes = counts.done.bytes + counts.skipped.bytes;
    progress.objects = () => ({
      ...this.#counts,
      listing: !queue.isListed,
      moving: this.#moving.standing,
      kmsPerSecond: kmsPerSecond(),
    });
  }

  /** As `Moving.begin`. */
  begin(objects: readonly ObjectRow[]): Disposable {
    return this.#moving.begin(objects);
  }

  /** Objects that are new in the ledger. */
  listed(objects: readonly ObjectRow[]): void {
    for (const object of objects) {
      this.#counts.listed++;
      this.#progress.totalBytes += object.size;
      if (object.state === 'failed') this.#tell(object);
    }
  }

  /** Resolves once it is on disk. Bytes of those done count here, unless they were counted part by part. */
  async settle(all: readonly Settled[], { areCounted = false } = {}): Promise<void> {
    const rows = all.map(({ object, outcome }) => this.#after(object, outcome));
    await this.#ledger.write(rows);
    for (const row of rows) {
      if (row.state === 'skipped') this.#progress.reusedBytes += row.size;
      // Told first, so that what is counted then has it.
      this.#tell(row);
      if (row.state === 'skipped' || (row.state === 'done' && !areCounted)) this.#progress.acked(row.size);
    }
  }

  /** The row as it is from now on. */
  #after(object: ObjectRow, outcome: Outcome): ObjectRow {
    const settled = { ...object, state: outcome.state, finishedMs: Date.now(), code: undefined, message: undefined };
    if (outcome.state !== 'failed') {
      this.#streak = undefined;
      return outcome.state === 'done' ? { ...settled, ...this.#whole(object, outcome) } : settled;
    }
    const { error } = outcome;
    const { code, message } = error;
    const waits = { ...object, state: 'pending' as const, finishedMs: undefined };
    if (code === 'interrupted') return waits;
    if (failsAll(error)) {
      this.#pause.because(error);
      return waits;
    }
    const attempts = object.attempts + 1;
    if (PASSING.has(code) && attempts < MAX_ATTEMPTS) return { ...waits, attempts, code, message };
    this.#countStreak(error);
    return { ...settled, attempts, code, message };
  }

  #whole({ size: listed }: ObjectRow, { target, size = listed }: Extract<Outcome, { state: 'done' }>) {
    this.#progress.totalBytes += size - listed;
    return { target, size };
  }

  #countStreak(error: SealiftError): void {
    const { code, message } = error;
    const count = this.#streak?.code === code ? this.#streak.count + 1 : 1;
    this.#streak = { code, count };
    if (count < STREAK_COUNT) return;
    this.#pause.because(
      new SealiftError(code, `${STREAK_COUNT} objects in a row have failed by ${code}, the last one so: ${message}`, {
        hint: 'When it is mended, resume with --failed to try these again too.',
        cause: error,
      }),
    );
  }

  #tell({ name, size, state, code, message }: ObjectRow): void {
    if (state === 'pending' || state === 'sending') return;
    this.#counts[state]++;
    this.#progress.emit({ type: 'object', name, size, outcome: state, code, message });
  }
}
