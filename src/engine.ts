/**
 * The engine: the one place that chooses. It knows which store an URL means, whose keys are used and how they are
 * cached, how fast KMS may be asked, and how many threads and lanes fit into memory. The stories are told elsewhere,
 * with what is chosen here in their hands.
 */

import { resolve } from 'node:path';
import { type ReadableStream, TransformStream } from 'node:stream/web';
import { type Diagnosis, type DoctorRequest, doctor } from './doctor.ts';
import type { Engine, EngineOptions, MigrateRequest, PutRequest, ResealRequest, RewrapRequest } from './engine/api.ts';
import { Crews } from './engine/crews.ts';
import { EngineKeys } from './engine/keys.ts';
import { Once } from './engine/once.ts';
import { SealiftError } from './errors.ts';
import { type GetRequest, get, type OpenRequest } from './get.ts';
import { type Inspection, type InspectOptions, inspect } from './inspect.ts';
import type { JobEvent, JobResult, Place, RunOptions, Tools } from './job.ts';
import { type Cancelled, cancelJob } from './jobs.ts';
import type { CacheStats } from './keys/cache.ts';
import { changeJob, type JobChanges } from './ledger/control.ts';
import { type DamagedJob, type JobSummary, Ledger } from './ledger/ledger.ts';
import { openStateDir } from './ledger/state-dir.ts';
import { Bandwidth, changeBandwidth, limitBandwidth, type SharedBandwidth } from './limits/bandwidth.ts';
import { type Listing, type ListOptions, list } from './list.ts';
import { type Decision, preview } from './migrate/preview.ts';
import { type ProofRequest, prove } from './migrate/proof.ts';
import { type ReportRequest, type ReportSummary, report, reported } from './migrate/report.ts';
import { migrate } from './migrate.ts';
import type { Retry } from './network.ts';
import { MOST_FOLDERS, Recent } from './parts/recent.ts';
import { type Plan, type PlanRequest, plan } from './plan.ts';
import { filed, filedPath } from './put/find-source.ts';
import { put } from './put.ts';
import { reseal } from './reseal.ts';
import { rewrap } from './rewrap.ts';
import { type ObjectUrl, parseBucketUrl, parseObjectUrl, parsePrefixUrl } from './stores/object-url.ts';
import { openStore, resolveStore } from './stores/open.ts';
import type { Store } from './stores/store.ts';
import { type VerifyRequest, verify } from './verify.ts';

export type { Engine, EngineOptions };

/** Finished ledgers are kept this long, for `jobs` to show. */
const KEEP_FINISHED_MS = 30 * 24 * 3600 * 1000;

/**
 * Makes an engine. Nothing is contacted and no thread starts before the first job. Throws `bad-option`.
 *
 * @example
 * import { createEngine, kmsKeyring } from 'sealift';
 *
 * await using engine = createEngine({ keyring: kmsKeyring({ keyIds: ['alias/backups'] }) });
 * const { plainBytes, seconds } = await engine.put({ source: '/data/db.tar', target: 's3://backups/2026/tuesday.tar' });
 * console.log(plainBytes / seconds);
 */
export function createEngine(options: EngineOptions = {}): Engine {
  return new Workshop(options);
}

/** What all objects of a bucket or a directory share. */
type Shared = Once<Omit<Place, 'url' | 'key'>>;

class Workshop implements Engine {
  readonly #options: EngineOptions;
  readonly #limit: SharedBandwidth | undefined;
  readonly #keys: EngineKeys;
  readonly #buckets = new Recent<Shared>(Number.POSITIVE_INFINITY);
  readonly #directories = new Recent<Shared>(MOST_FOLDERS);
  readonly #crews: Crews;
  readonly #tools: Tools;
  #pruned = false;
  #isClosed = false;
  /** Times a store has asked for fewer requests. */
  #slowDowns = 0;
  /** What the jobs that run are told of requests made again, and of the limiter. */
  readonly #listeners = new Set<(event: JobEvent) => void>();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#limit = options.bwlimit === undefined ? undefined : limitBandwidth(options.bwlimit);
    this.#keys = new EngineKeys(options, {
      onRetry: this.#tellRetry,
      onNotice: (message) => this.#tell({ type: 'limiter', message }),
    });
    this.#crews = new Crews(options, {
      limit: this.#limit,
      onRetry: this.#tellStoreRetry,
      slowDowns: () => this.#slowDowns,
    });
    const stateDir = () => this.#stateDir();
    this.#tools = {
      get stateDir() {
        return stateDir();
      },
      keyring: this.#keys,
      place: (url) => this.#place(parseObjectUrl(url)),
      prefix: (url) => this.#place(parsePrefixUrl(url)),
      plan: (needs) => this.#crews.plan(needs),
      crew: async (needs, onChange) => this.#crews.crew(needs, onChange),
      budget: this.#crews.budget,
      kmsPerSecond: () => this.#keys.callsPerSecond,
      change: (changes) => this.#change(changes),
    };
  }

  put({ opener, ...request }: PutRequest): Promise<JobResult> {
    return this.#heard(request, async () =>
      put({ ...request, source: filed(request.source) }, this.#tools, await this.#keys.fulfil(opener)),
    );
  }

  get(request: GetRequest): Promise<JobResult> {
    const { target } = request;
    const absolute = typeof target === 'string' ? resolve(target) : target;
    return this.#heard(request, () => get({ ...request, target: absolute }, this.#tools));
  }

  open(request: OpenRequest): ReadableStream<Uint8Array> {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    // Whoever reads is told, also of what happens before the stream is taken up. Afterwards it is locked, and told already.
    this.get({ ...request, target: writable }).catch((error) => writable.abort(error).catch(() => {}));
    return readable;
  }

  verify(request: VerifyRequest): Promise<JobResult> {
    return this.#heard(request, () => verify(request, this.#tools));
  }

  reseal({ opener, ...request }: ResealRequest): Promise<JobResult> {
    return this.#heard(request, async () => reseal(request, await this.#keys.fulfil(opener), this.#tools));
  }

  rewrap({ opener, ...request }: RewrapRequest): Promise<JobResult> {
    return this.#heard(request, async () => {
      const keys = { opener: await this.#keys.fulfil(opener), wrapper: this.#keys };
      return await rewrap(request, keys, this.#tools);
    });
  }

  migrate({ opener, report: asked, ...request }: MigrateRequest): Promise<JobResult> {
    const warn = (message: string) => request.onEvent?.({ type: 'warning', message });
    return this.#heard(request, () =>
      reported(asked, { tools: this.#tools, target: request.target, warn }, async () =>
        migrate({ ...request, source: filedPath(request.source) }, this.#tools, await this.#keys.fulfilForMany(opener)),
      ),
    );
  }

  async *preview(request: MigrateRequest): AsyncGenerator<Decision, void> {
    try {
      this.#requireOpen();
      yield* preview({ ...request, source: filedPath(request.source) }, this.#tools);
    } catch (error) {
      throw SealiftError.from(error);
    }
  }

  prove(request: ProofRequest): Promise<JobResult> {
    return this.#heard(request, () => prove(request, this.#tools));
  }

  report(request: ReportRequest): Promise<ReportSummary> {
    return this.#coded(() => report(request, this.#tools));
  }

  plan(request: PlanRequest): Promise<Plan> {
    const means = { bwlimit: this.#options.bwlimit, kmsUse: () => this.#keys.kmsUse(), storeOf: this.#storeOf };
    return this.#coded(() => plan(request, this.#tools, means));
  }

  inspect(source: GetRequest['source'], options: InspectOptions = {}): Promise<Inspection> {
    return this.#coded(() => inspect(source, this.#tools, options));
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<Listing, void> {
    try {
      this.#requireOpen();
      yield* list(prefix, this.#storeOf, options);
    } catch (error) {
      throw SealiftError.from(error);
    }
  }

  doctor(request: DoctorRequest): Promise<Diagnosis> {
    return this.#coded(async () => {
      const url = parseBucketUrl(request.bucket);
      return await doctor(request, { url: request.bucket, key: '', ...(await this.#shared(url)) }, this.#tools);
    });
  }

  jobs(): (JobSummary | DamagedJob)[] {
    return Ledger.list(this.#stateDir());
  }

  job(id: string): JobSummary {
    return Ledger.summary(this.#stateDir(), id);
  }

  change(id: string, changes: JobChanges): Promise<void> {
    return this.#coded(() => changeJob(this.#stateDir(), id, changes));
  }

  /** Stores and threads that were opened without a cap have none to change. */
  #change({ bwlimit }: JobChanges): void {
    if (!this.#limit) {
      throw new SealiftError('usage', 'The job was begun without a limit to its bandwidth, and cannot be given one', {
        hint: 'Interrupt it, and resume it with --bwlimit.',
      });
    }
    changeBandwidth(this.#limit, bwlimit);
  }

  cancel(id: string, { onEvent }: Pick<RunOptions, 'onEvent'> = {}): Promise<Cancelled> {
    return this.#coded(() => cancelJob(this.#tools, id, (message) => onEvent?.({ type: 'warning', message })));
  }

  keyStats(): CacheStats {
    return this.#keys.stats();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // Keys are zeroed whatever becomes of the threads.
    await Promise.allSettled([this.#crews.close(), this.#keys.close()]);
    for (const bucket of this.#buckets.values()) (await bucket.ifMade())?.store.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Runs a job that is told of requests made again: the engine's, since jobs share its connections. */
  async #heard({ onEvent }: RunOptions, job: () => Promise<JobResult>): Promise<JobResult> {
    const listener = (event: JobEvent) => onEvent?.(event);
    this.#listeners.add(listener);
    try {
      return await this.#coded(job);
    } finally {
      this.#listeners.delete(listener);
    }
  }

  /** Every call: none after the end, and what it rejects with has a code. */
  async #coded<T>(call: () => Promise<T>): Promise<T> {
    try {
      this.#requireOpen();
      return await call();
    } catch (error) {
      throw SealiftError.from(error);
    }
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new SealiftError('usage', 'The engine is closed', { hint: 'Make another one.' });
  }

  readonly #tellStoreRetry = (retry: Retry): void => {
    if (retry.throttled) this.#slowDowns++;
    this.#tellRetry(retry);
  };

  readonly #tellRetry = (retry: Retry): void => this.#tell({ type: 'retry', ...retry });

  #tell(event: JobEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #stateDir(): string {
    const path = openStateDir(this.#options.stateDir);
    if (!this.#pruned) Ledger.prune(path, { olderThanMs: KEEP_FINISHED_MS });
    this.#pruned = true;
    return path;
  }

  async #place(object: ObjectUrl): Promise<Place> {
    const { key } = object;
    const { store, settings, credentials } = await this.#shared(object);
    return { url: store.url(key), key, store, settings, credentials };
  }

  readonly #storeOf = async (object: ObjectUrl): Promise<Store> => (await this.#shared(object)).store;

  #shared(object: ObjectUrl): ReturnType<Shared['get']> {
    const make = () => new Once<Omit<Place, 'url' | 'key'>>();
    const shared =
      'bucket' in object ? this.#buckets.get(object.bucket, make) : this.#directories.get(object.directory, make);
    return shared.get(() => this.#openStore(object));
  }

  async #openStore(object: ObjectUrl): Promise<Omit<Place, 'url' | 'key'>> {
    const { pathStyle, allowHttp, expectedBucketOwner } = this.#options;
    const { settings, credentials } = await resolveStore(object, { pathStyle, allowHttp, expectedBucketOwner });
    const bandwidth = this.#limit && new Bandwidth(this.#limit);
    const store = await openStore(settings, { credentials, onRetry: this.#tellStoreRetry, bandwidth });
    return { settings, credentials, store };
  }
}
