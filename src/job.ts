/**
 * What every story is given and what it gives back: the tools an engine has ready, the events a job reports, and its
 * result. The result's fields are the command line's `--json` contract.
 */
import type { KeyObject } from 'node:crypto';
import type { Keyring } from './keys/keyring.ts';
import type { JobChanges } from './ledger/control.ts';
import type { Allowance, LaneChange } from './limits/allowance.ts';
import type { ReportSummary } from './migrate/report.ts';
import type { Retry } from './network.ts';
import type { MemoryBudget, MemoryPlan } from './parts/memory.ts';
import type { HashThread } from './parts/signing.ts';
import type { StageSeconds } from './parts/stopwatch.ts';
import type { StoreAccess } from './parts/task.ts';
import type { Threads } from './parts/threads.ts';
import type { ServerEncryption } from './stores/encryption.ts';
import type { StoreCredentials, StoreSettings } from './stores/open.ts';
import type { Store } from './stores/store.ts';

/**
 * What a job tells while it runs, told apart by `type`.
 *
 * @example
 * await engine.put({
 *   source: '/data/db.tar',
 *   target: 's3://backups/2026/watched.tar',
 *   onEvent: (event) => {
 *     if (event.type === 'progress') console.log(`${event.ackedBytes} of ${event.totalBytes}`);
 *     if (event.type === 'warning') console.warn(event.message);
 *   },
 * });
 */
export type JobEvent =
  /**
   * The job has its plan. `resumed` when an unfinished one was taken up. A pipe's `totalBytes` is 0: nobody knows. It
   * may come to `reachBytes`.
   */
  | {
      type: 'start';
      job: string;
      command: JobResult['command'];
      object: string;
      resumed: boolean;
      totalBytes: number;
      reachBytes?: number;
    }
  /** Plain bytes whose sealed form the other side has acknowledged, kept ones included. One a part. */
  | {
      type: 'progress';
      ackedBytes: number;
      totalBytes: number;
      reusedBytes: number;
      /** So far, in this run. */
      kmsCalls: number;
      seconds: number;
      /** Of a migration, whose `totalBytes` are those that are listed so far. */
      objects?: ObjectsProgress;
    }
  /** Of a migration: what one object came to. A failed one has its error's code and message. */
  | {
      type: 'object';
      name: string;
      size: number;
      outcome: 'done' | 'failed' | 'skipped';
      code?: string | undefined;
      message?: string | undefined;
    }
  /** Plain bytes opened to prove an object that proves itself only as a whole, before any of them is handed on. */
  | { type: 'proof'; openedBytes: number; totalBytes: number }
  /** On resume, for every part: kept, or sent again, and why. */
  | { type: 'part'; number: number; size: number; kept: boolean; reason: string }
  /** A request to S3 or KMS failed and is being made again. Jobs that share an engine all hear of it. */
  | ({ type: 'retry' } & Retry)
  /**
   * Calls to KMS are paced in another way than was asked for, because Service Quotas tell nothing or the Redis of a
   * shared limiter is lost; or as before, since it is back.
   */
  | { type: 'limiter'; message: string }
  /** More or fewer parts are in flight from now on: the server asked for it, or the measured throughput did. */
  | ({ type: 'lanes' } & LaneChange)
  /** With `profileStages`, of each part that was moved: where its time went. */
  | { type: 'stages'; stages: StageSeconds }
  /** The object is started again under a new key. */
  | { type: 'restart'; reason: string }
  /** Something the user should know; the result counts it and the command exits 3. */
  | { type: 'warning'; message: string };

/** A migration's objects so far. */
export interface ObjectsProgress {
  listed: number;
  done: number;
  failed: number;
  skipped: number;
  /** More may be found. */
  listing: boolean;
  /** On their way at this moment: how many small ones, and the names of large ones. Of a migration. */
  moving?: { small: number; large: readonly string[] };
  /** Calls a second that KMS is asked at most, once it was asked. */
  kmsPerSecond?: number | undefined;
}

/** What a job came to. */
export interface JobResult {
  command: 'put' | 'get' | 'verify' | 'reseal' | 'rewrap' | 'migrate';
  /** Its id in the state folder. '' of what is no job: a verify, a get into a stream or out of one. */
  job: string;
  /** URL; null where there are many. */
  object: string | null;
  objects: number;
  failed: number;
  skipped: number;
  /** Of a migration: how many objects have failed, by the code of each, most first. */
  failures?: Readonly<Record<string, number>> | undefined;
  /** Of a migration that was verified: how many objects were chosen, of how many, and by which seed. */
  sample?: { objects: number; of: number; seed: string } | undefined;
  /** Of a migration: the report that was asked for. */
  report?: ReportSummary | undefined;
  plainBytes: number;
  sealedBytes: number;
  parts: number;
  partsReused: number;
  seconds: number;
  cpuSeconds: number;
  peakRssBytes: number;
  kmsCalls: number;
  /** What CloudTrail knows these calls by, of the first hundred that KMS answered. */
  kmsRequestIds: string[];
  /**
   * With `profileStages`: where the time of all parts went, summed over those in flight at once, so in all more than
   * `seconds`.
   */
  stages?: StageSeconds | undefined;
  /** What the store did not confirm, in words. */
  warnings: string[];
  /** Of a put: what the store calls the object it has taken. */
  etag?: string | undefined;
  versionId?: string | undefined;
  /** Of a put: how the server says it has encrypted the object at rest, which is what it was asked for. */
  sse?: ServerEncryption | undefined;
  /** The message has a signature; a get has verified it. */
  signed?: true | undefined;
  /** The object is not sealed, as was asked: nobody can authenticate it. */
  seal?: 'none' | undefined;
}

/** What came of a job that had nothing to do. */
export const nothingDone: Omit<JobResult, 'command' | 'job' | 'object'> = {
  objects: 0,
  failed: 0,
  skipped: 0,
  plainBytes: 0,
  sealedBytes: 0,
  parts: 0,
  partsReused: 0,
  seconds: 0,
  cpuSeconds: 0,
  peakRssBytes: 0,
  kmsCalls: 0,
  kmsRequestIds: [],
  warnings: [],
};

/** How a job is stopped and heard. */
export interface RunOptions {
  /**
   * Stops the job: no new part starts, parts in flight get ten seconds, and it rejects with `interrupted`. Between files
   * and objects it can be gone on with by the same call; a put from a stream leaves nothing (`pipe-interrupted`).
   *
   * @example
   * import { SealiftError } from 'sealift';
   *
   * const request = { source: '/data/db.tar', target: 's3://backups/2026/timed.tar' };
   * try {
   *   await engine.put({ ...request, signal: AbortSignal.timeout(1) });
   * } catch (error) {
   *   if (!(error instanceof SealiftError && error.code === 'interrupted')) throw error;
   *   await engine.put(request);
   * }
   */
  signal?: AbortSignal | undefined;
  /** Is called at once, and is to return at once. Where it throws the job fails. */
  onEvent?: ((event: JobEvent) => void) | undefined;
}

/** One object's place in a store, reachable from this thread and from others. */
export interface Place {
  url: string;
  key: string;
  store: Store;
  settings: StoreSettings;
  /** Fresh credentials for a task. */
  credentials: StoreCredentials;
  /** With which the server encrypts the object (SSE-C): `store` has it, and threads are told it. */
  customerKey?: KeyObject | undefined;
}

/** The same place, for an object under this key (SSE-C). Throws `sse-c-needs-https`, `bad-option`. */
export function underKey(place: Place, customerKey: KeyObject | undefined): Place {
  return { ...place, store: place.store.withCustomerKey(customerKey), customerKey };
}

/** How a thread reaches the place's store. */
export async function accessTo({ settings, credentials, customerKey }: Place): Promise<StoreAccess> {
  return { settings, credentials: await credentials(), customerKey };
}

/** What an engine has ready for a story. */
export interface Tools {
  stateDir: string;
  keyring: Keyring;
  place: (url: string) => Promise<Place>;
  /** Of an URL that only begins objects' names: the key may be '', and is no object's. */
  prefix: (url: string) => Promise<Place>;
  /**
   * Threads, lanes and the budget for an object's parts. Starts the threads on first use. `onChange` hears when other
   * numbers of lanes are found to be better. Throws as `plan` does.
   */
  crew: (needs: LaneNeeds, onChange: (change: LaneChange) => void) => Promise<Crew>;
  /** How `crew` would do it, with nothing started. Throws `memory-too-small`. */
  plan: (needs: LaneNeeds) => CrewPlan;
  /** Tickets for parts handled on the main thread. */
  budget: MemoryBudget;
  /** Calls a second that KMS is asked at most. Undefined as long as nobody has asked. */
  kmsPerSecond: () => number | undefined;
  /** Takes what a running job is told to change. Throws what it refuses. */
  change: (changes: JobChanges) => void;
}

export interface LaneNeeds {
  /** Bytes of the largest part. */
  partSize: number;
  /** Plain bytes of a part that came through a pipe: they are held beside the sealed ones. */
  plainSize?: number | undefined;
  /** What a lane takes where parts need not be held whole; undefined where they must be. */
  streamedSize?: number | undefined;
  /** The message is signed: there must be a hashing thread, and parts must be held for it. */
  signed?: boolean | undefined;
  /** Of small objects that are carried from store to store. */
  carried?: boolean | undefined;
}

export interface CrewPlan {
  plan: MemoryPlan;
  /** Lanes hold whole parts; else they seal them twice. */
  held: boolean;
  /** Bytes of the budget one lane takes. */
  laneSize: number;
}

export interface Crew extends CrewPlan {
  threads: Threads;
  budget: MemoryBudget;
  /** How many lanes there may be. Whatever moves a part's bytes is measured by it. */
  lanes: Allowance;
  /** Where it was needed. */
  hashThread?: HashThread | undefined;
}
