/** What an engine is to those who use it: its options, and its calls. */
import type { ReadableStream } from 'node:stream/web';
import type { Diagnosis, DoctorRequest } from '../doctor.ts';
import type { GetRequest, OpenRequest } from '../get.ts';
import type { Inspection, InspectOptions } from '../inspect.ts';
import type { JobResult, RunOptions } from '../job.ts';
import type { Cancelled } from '../jobs.ts';
import type { CacheStats } from '../keys/cache.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { JobChanges } from '../ledger/control.ts';
import type { DamagedJob, JobSummary } from '../ledger/ledger.ts';
import type { Listing, ListOptions } from '../list.ts';
import type { Decision } from '../migrate/preview.ts';
import type { ProofRequest } from '../migrate/proof.ts';
import type { ReportRequest, ReportSummary } from '../migrate/report.ts';
import type { MigrateOptions } from '../migrate.ts';
import type { Plan, PlanRequest } from '../plan.ts';
import type { PutOptions } from '../put.ts';
import type { ResealOptions } from '../reseal.ts';
import type { RewrapOptions } from '../rewrap.ts';
import type { VerifyRequest } from '../verify.ts';
import type { KmsKeyring, MultiKeyring } from './keys.ts';

/** How an engine works, for all of its jobs. */
export interface EngineOptions {
  /** From `kmsKeyring`, `rawAesKeyring`, `rawRsaKeyring`, `multiKeyring`. Without one the engine can inspect, list and cancel. */
  keyring?: Keyring | KmsKeyring | MultiKeyring | undefined;
  /** `off` makes a data key for every object. Default: one for up to an hour, 100,000 objects or 1 TiB. */
  keyReuse?: 'on' | 'off' | undefined;
  /**
   * `redis://HOST:PORT` or `rediss://…`: all processes that name the same Redis share one limit of KMS calls in each Region.
   * Default: each process limits itself.
   */
  limiter?: string | undefined;
  /** Resident bytes of the whole process at most. Default 512 MiB, or three quarters of a smaller container. */
  maxMemory?: number | undefined;
  /** Threads that seal, open, send and fetch. Default: what cores and memory allow. */
  threads?: number | undefined;
  /** Parts in flight, over all threads. Default: what turns out to be best, within memory. */
  lanes?: number | undefined;
  /**
   * Bytes a second at most, both ways together, over all jobs and threads of this engine: sealed bytes on their way to
   * or from a store, those sent again included. At least 1024.
   */
  bwlimit?: number | undefined;
  /** Folder of the jobs' ledgers. Default `$XDG_STATE_HOME/sealift`. */
  stateDir?: string | undefined;
  /** The bucket in the path, not in the host name. Chosen by itself for IP addresses and localhost. */
  pathStyle?: boolean | undefined;
  /** Speak plain HTTP to an S3 endpoint that is not this machine. KMS is never spoken to without TLS. */
  allowHttp?: boolean | undefined;
  /** The account that buckets must belong to: S3 refuses all others. */
  expectedBucketOwner?: string | undefined;
}

/** What is to be sealed, and with which key it opens where it is sealed already. */
export interface PutRequest extends PutOptions {
  /** Opens a source that is a sealed object. Default: the engine's keyring. */
  opener?: EngineOptions['keyring'];
}

/** What is to be moved, and with which key it opens where it is sealed already. */
export interface MigrateRequest extends MigrateOptions {
  /** Opens objects of the source that are sealed. Default: the engine's keyring. */
  opener?: EngineOptions['keyring'];
}

/** What is to be sealed again, and with which key it opens. */
export interface ResealRequest extends ResealOptions {
  /** Opens the object as it is now. Default: the engine's keyring, which is tried in any case. */
  opener?: EngineOptions['keyring'];
}

/** Whose data key is to be wrapped anew, and with which key it opens. */
export interface RewrapRequest extends RewrapOptions {
  /** Opens the data key as it is now. Default: the engine's keyring. */
  opener?: EngineOptions['keyring'];
}

/**
 * Seals, opens and looks after objects. It keeps threads, connections and cached keys until it is closed, so one engine
 * for many objects is right. Every rejection is a SealiftError.
 */
export interface Engine extends AsyncDisposable {
  /**
   * Seals a file into an object, and takes up its own unfinished job; or a stream, which cannot be gone on with.
   *
   * @example
   * await engine.put({ source: '/data/db.tar', target: 's3://backups/2026/monday.tar' });
   *
   * @example A stream, of which the producer's failure completes nothing
   * import { createReadStream } from 'node:fs';
   * import { createGzip } from 'node:zlib';
   *
   * const packed = createReadStream('/data/db.tar').compose(createGzip());
   * await engine.put({ source: packed, target: 's3://backups/2026/db.tar.gz', contentType: 'application/gzip' });
   *
   * @example Without a seal, where S3's own encryption is what is wanted
   * const target = 's3://backups/2026/plain.tar';
   * await engine.put({ source: '/data/db.tar', target, seal: 'none', sse: { algorithm: 'AES256' } });
   * await engine.get({ source: target, target: '/restore/plain.tar', seal: 'none' });
   */
  put(request: PutRequest): Promise<JobResult>;
  /**
   * Opens an object into a file, and takes up its own unfinished job; or into a stream or a function, in order.
   *
   * @example
   * await engine.get({ source: 's3://backups/2026/db.tar', target: '/restore/db.tar' });
   *
   * @example A stream, which is ended with the object, or destroyed with the error
   * import { createGunzip } from 'node:zlib';
   *
   * const unpacked = createGunzip();
   * unpacked.resume();
   * await engine.get({ source: 's3://backups/2026/small.gz', target: unpacked });
   *
   * @example A function
   * import { createHash } from 'node:crypto';
   *
   * const hash = createHash('sha256');
   * await engine.get({ source: 's3://backups/2026/db.tar', target: async (bytes) => void hash.update(bytes) });
   * console.log(hash.digest('hex'));
   */
  get(request: GetRequest): Promise<JobResult>;
  /**
   * An object as a stream of its plain bytes, each verified before it comes. It is fetched as it is read. Where the job
   * fails the stream does, with the SealiftError; to cancel it ends the job.
   *
   * @example
   * for await (const bytes of engine.open({ source: 's3://backups/2026/db.tar' })) console.log(bytes.length);
   *
   * @example The answer of a web server
   * const body = engine.open({ source: 's3://backups/2026/db.tar', range: { first: 0, last: 1023 } });
   * const response = new Response(body, { status: 206 });
   * console.log((await response.bytes()).length);
   */
  open(request: OpenRequest): ReadableStream<Uint8Array>;
  /**
   * Opens all of an object and keeps nothing. Rejects with whatever a get of it would.
   *
   * @example
   * const { plainBytes } = await engine.verify({ source: 's3://backups/2026/db.tar', requireBound: true });
   * console.log(plainBytes);
   */
  verify(request: VerifyRequest): Promise<JobResult>;
  /**
   * Seals an object again under a new data key, in its own place, and takes up its own unfinished job. The old object is
   * there until the new one has its name. Metadata, content headers, tags and the context go over. It keeps its format
   * unless another is asked for; a signed message is signed again only with `sign`.
   *
   * @example
   * const { plainBytes } = await engine.reseal({ object: 's3://backups/2026/db.tar' });
   * console.log(plainBytes);
   */
  reseal(request: ResealRequest): Promise<JobResult>;
  /**
   * Wraps the data key of an S3 Encryption Client's object under the engine's key. S3 copies the object onto itself with
   * other metadata: its bytes stay as they are, and none comes here.
   *
   * @example
   * await engine.put({ source: '/data/db.tar', target: 's3://backups/2026/s3ec.tar', format: 's3ec' });
   * const { versionId } = await engine.rewrap({ object: 's3://backups/2026/s3ec.tar' });
   * console.log(versionId);
   */
  rewrap(request: RewrapRequest): Promise<JobResult>;
  /**
   * Moves every file under a directory into a store, sealed: large ones by parts, small ones many at a time. Takes up its
   * own unfinished job. One file that fails stops no other; `failed` of the result counts them.
   *
   * @example
   * const { objects, failed } = await engine.migrate({ source: '/data/', target: 's3://backups/2026/data/' });
   * console.log(objects, failed);
   */
  migrate(request: MigrateRequest): Promise<JobResult>;
  /**
   * What `migrate` would do with each object, as it is listed. Writes nothing, and asks for no key.
   *
   * @example
   * for await (const { name, would } of engine.preview({ source: '/data/', target: 's3://backups/2026/data/' })) {
   *   if (would !== 'skip') console.log(would, name);
   * }
   */
  preview(request: MigrateRequest): AsyncGenerator<Decision, void>;
  /**
   * Opens what a migration has written, all of it or a sample, and compares it with what the ledger knows. `failed` and
   * `failures` of the result tell what is gone, damaged or another object than it wrote.
   *
   * @example
   * const { job } = await engine.migrate({ source: '/data/', target: 's3://backups/2026/proven/' });
   * const { objects, failed, sample } = await engine.prove({ job, sample: { share: 0.5 } });
   * console.log(objects, failed, sample?.seed);
   */
  prove(request: ProofRequest): Promise<JobResult>;
  /**
   * Writes down what became of every object of a migration, also while it runs. Throws `no-such-job`, `bad-option`, and
   * `usage` where the job is no migration.
   *
   * @example
   * const { job } = await engine.migrate({ source: '/data/', target: 's3://backups/2026/reported/' });
   * const { objects, missing } = await engine.report({ job, to: '/data/report.csv' });
   * console.log(objects.done, missing);
   */
  report(request: ReportRequest): Promise<ReportSummary>;
  /**
   * What putting a file, or every file under a directory, will need. Reads some of the source, asks the store for HEAD and
   * Service Quotas for the KMS quota, and measures this machine for two seconds.
   *
   * @example
   * const { parts, requests, time } = await engine.plan({ source: '/data/db.tar', target: 's3://backups/2026/plan.tar' });
   * console.log(parts, requests, time.seconds, time.limitedBy);
   */
  plan(request: PlanRequest): Promise<Plan>;
  /**
   * What an object says about itself. Needs no key, verifies nothing.
   *
   * @example
   * const { plainBytes, keys, encryptionContext } = await engine.inspect('s3://backups/2026/db.tar');
   * console.log(plainBytes, keys.map(({ key }) => key), encryptionContext);
   */
  inspect(source: GetRequest['source'], options?: InspectOptions): Promise<Inspection>;
  /**
   * The objects under a prefix, with the sizes of what was sealed, while they are being fetched. Needs no key, verifies
   * nothing.
   *
   * @example
   * for await (const { object, ...listing } of engine.list('s3://backups/2026/')) {
   *   if (listing.type === 'object') console.log(object, listing.state, listing.plainBytes);
   * }
   */
  list(prefix: string, options?: ListOptions): AsyncGenerator<Listing, void>;
  /**
   * What is right and wrong with a bucket, and which uploads are open in it. `approve` is shown what would close the gaps,
   * in one change a setting, and says whether to do it; without it nothing is changed. Throws `bad-url`,
   * `bucket-not-found`; what is denied is told.
   *
   * @example
   * const { findings, uploads } = await engine.doctor({ bucket: 's3://backups' });
   * for (const { check, state, found, remedy } of findings) if (state === 'gap') console.log(check, found, remedy);
   * console.log(uploads.length);
   */
  doctor(request: DoctorRequest): Promise<Diagnosis>;
  /**
   * All jobs of the state folder, oldest first.
   *
   * @example
   * for (const job of engine.jobs()) {
   *   if (job.state === 'damaged') console.error(job.id, job.reason);
   *   else console.log(job.id, job.state, `${job.partsDone} of ${job.partsTotal} parts`);
   * }
   */
  jobs(): (JobSummary | DamagedJob)[];
  /**
   * One job. Throws `no-such-job`.
   *
   * @example
   * const { job } = await engine.put({ source: '/data/db.tar', target: 's3://backups/2026/wednesday.tar' });
   * console.log(engine.job(job).answer?.etag);
   */
  job(id: string): JobSummary;
  /**
   * Changes a migration that another engine or process runs with these jobs, and which was begun with `bwlimit`. What is changed
   * is not kept: who resumes the job says it anew. Throws `no-such-job`, `bad-option`, `usage`.
   *
   * @example
   * for (const { id, running } of engine.jobs()) if (running) await engine.change(id, { bwlimit: 10 * 1024 ** 2 });
   */
  change(id: string, changes: JobChanges): Promise<void>;
  /**
   * Aborts a job's upload, or removes its half-written file, and ends it. What the store may still hold is told as
   * warnings. Throws `no-such-job`, `job-busy`.
   *
   * @example
   * for (const { id, state } of engine.jobs()) {
   *   if (state === 'running') console.log(id, await engine.cancel(id));
   * }
   */
  cancel(id: string, options?: Pick<RunOptions, 'onEvent'>): Promise<Cancelled>;
  /**
   * Data-key cache: calls it answered and calls it passed on.
   *
   * @example
   * const { hits, misses } = engine.keyStats();
   * console.log(`${misses} data keys, used ${hits} times more`);
   */
  keyStats(): CacheStats;
  /**
   * Ends threads, sockets and timers, and zeroes cached keys. `await using` does it by itself.
   *
   * @example
   * import { createEngine, kmsKeyring } from 'sealift';
   *
   * const engine = createEngine({ keyring: kmsKeyring({ keyIds: ['alias/backups'] }) });
   * try {
   *   await engine.get({ source: 's3://backups/2026/db.tar', target: '/restore/closed.tar' });
   * } finally {
   *   await engine.close();
   * }
   */
  close(): Promise<void>;
}
