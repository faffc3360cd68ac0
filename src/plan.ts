/**
 * `plan`: what a `put` of a file or an object, or a `migrate` of a directory or a prefix will need, before anything of it
 * happens. Parts, requests and KMS calls are counted by the code that these cut by, and so exact; time is an estimate from
 * what was measured here (plan/rehearsal.ts); cost follows from a table of prices.
 */
import { basename, resolve } from 'node:path';
import { SealiftError } from './errors.ts';
import type { RunOptions, Tools } from './job.ts';
import type { KmsQuota } from './limits/service-quotas.ts';
import { BATCH_COUNT } from './migrate/small.ts';
import { IN_FLIGHT_COUNT } from './parts/each-of.ts';
import { type AtRest, atRestOf } from './plan/at-rest.ts';
import { type Cost, costOf, PRICES, type PriceTable } from './plan/prices.ts';
import { rehearse } from './plan/rehearsal.ts';
import { isInBucket, objectsUnder } from './plan/sources.ts';
import { type LargestObject, type Reading, type Requests, Tally, turnsOf } from './plan/tally.ts';
import { type Estimate, estimate, type Speeds } from './plan/time.ts';
import { headersFor, type SealOptions } from './put/attempt.ts';
import { formatFor } from './put/format.ts';
import { encryptionAsked } from './stores/encryption.ts';
import type { ObjectUrl } from './stores/object-url.ts';
import type { Store } from './stores/store.ts';

/** What is to be put where. */
export interface PlanRequest extends SealOptions, Pick<RunOptions, 'signal'> {
  /**
   * A file's path or an object's URL, as `put` takes it; or, as `migrate` takes them, a directory's, every file under it;
   * or `s3://bucket/prefix`, every object whose key begins so, fetched from there.
   */
  source: string;
  /** `s3://bucket/key` or `file:///path`; of several what the objects' names begin with. */
  target: string;
  /** Bytes a second of the line, where it is known. */
  bandwidth?: number | undefined;
  /** Default: AWS's list prices of one Region, as old as the table says. */
  prices?: PriceTable | undefined;
}

/** How an engine asks KMS. */
export interface KmsUse {
  quota: KmsQuota;
  /** Calls a second at most. */
  ratePerSecond: number;
  /** Calls for a data key: one that makes it, one for each further key that wraps it. */
  callsPerDataKey: number;
  /** A data key serves many objects. */
  reusesKeys: boolean;
}

/** What a put will need. */
export interface Plan {
  source: string;
  target: string;
  objects: number;
  parts: number;
  plainBytes: number;
  /** But for what keys and a context make of the headers. */
  sealedBytes: number;
  largest: LargestObject;
  /** Resident bytes of the process at most. */
  maxMemory: number;
  /** To S3, where none of the objects is there yet and nothing fails. Undefined for a directory. */
  requests: Requests | undefined;
  /** What takes the objects out of their bucket. Undefined of files. */
  reading: Reading | undefined;
  /** Undefined where no key is of KMS. */
  kms: KmsPlan | undefined;
  /** Undefined for a directory. */
  atRest: AtRest | undefined;
  speeds: Speeds;
  time: Estimate;
  /** Undefined for a directory, and for a storage class without a price. */
  cost: Cost | undefined;
}

/** What KMS will be asked. */
export interface KmsPlan extends KmsUse {
  calls: number;
  callsWithReuse: number;
  callsWithoutReuse: number;
}

/** What a plan is told by its engine. */
export interface PlanMeans {
  bwlimit: number | undefined;
  kmsUse: () => Promise<KmsUse | undefined>;
  storeOf: (url: ObjectUrl) => Promise<Store>;
}

/** Throws what a put of these files would throw of them, of sizes, format and memory, and of the bucket. */
export async function plan(request: PlanRequest, tools: Tools, { bwlimit, kmsUse, storeOf }: PlanMeans): Promise<Plan> {
  const { target, prices = PRICES, signal, ...options } = request;
  const source = isInBucket(request.source) ? request.source : resolve(request.source);
  const tally = new Tally(options, tools);
  let first: string | undefined;
  for await (const object of objectsUnder(source, { storeOf, signal })) {
    if (signal?.aborted) throw SealiftError.interrupted(signal, 'plan');
    first ??= object.name;
    tally.add(object);
  }
  const { largest, smallest } = tally;
  if (first === undefined || !largest || !smallest) throw nothingThere(source);

  const isMany = first !== '';
  if (isMany) refuseOfOne(options);
  const isNamed = !isMany && !target.endsWith('/');
  const place = await tools.place(isNamed ? target : beneath(target, first || basename(source)));
  // As a put does before it sends anything, for what it throws.
  const asked = encryptionAsked(options);
  headersFor({ request: { ...options, sse: asked }, place }, formatFor(options));
  const isRemote = place.store.copies !== undefined;
  const whole = tally.wholeObjects > 0 ? smallest : undefined;
  const { reading } = tally;
  const speeds = await rehearse({ largest, whole, isMany, areFiles: !reading, place, options, tools });
  const use = options.seal === 'none' ? undefined : await kmsUse();
  const requests = isRemote ? tally.requests : undefined;
  const atRest = requests && (await atRestOf({ place, asked, requests, confirmations: tally.confirmations }, signal));
  const callsOfS3 = atRest?.encryption ? atRest.kmsCalls : 0;
  const crew = largest.crew?.plan;
  const lanes = crew?.lanes.start ?? 1;
  const timeWith = (kmsCalls: number) =>
    estimate(
      {
        ...tally,
        turns: tally.turns,
        ...(requests ? turnsOf(requests) : { writes: 0, reads: 0 }),
        kmsCalls,
        callsOfS3,
      },
      speeds,
      {
        threads: crew?.threadCount ?? 1,
        lanes,
        together: isMany ? { sent: lanes * IN_FLIGHT_COUNT, written: BATCH_COUNT } : { sent: 1, written: 1 },
        isRemote,
        comesFromBucket: reading !== undefined,
        bytesPerSecond: slowest(bwlimit, request.bandwidth),
        kmsPerSecond: use?.ratePerSecond,
        kmsQuota: use?.quota.perSecond,
      },
    );
  const kms = use && kmsPlanOf(use, tally, timeWith(0).seconds);
  return {
    source,
    target,
    objects: tally.objects,
    parts: tally.parts,
    plainBytes: tally.plainBytes,
    sealedBytes: tally.sealedBytes,
    largest,
    maxMemory: tools.budget.maxMemory,
    requests,
    reading,
    kms,
    atRest,
    speeds,
    time: timeWith(kms?.calls ?? 0),
    cost:
      requests &&
      costOf(
        { requests, reading, kmsCalls: (kms?.calls ?? 0) + callsOfS3, sealedBytes: tally.sealedBytes },
        { prices, storageClass: options.storageClass },
      ),
  };
}

function kmsPlanOf(use: KmsUse, { objects, dataKeys }: Tally, seconds: number): KmsPlan {
  const callsWithReuse = dataKeys.countWithin(seconds) * use.callsPerDataKey;
  const callsWithoutReuse = objects * use.callsPerDataKey;
  return {
    ...use,
    calls: use.reusesKeys ? callsWithReuse : callsWithoutReuse,
    callsWithReuse,
    callsWithoutReuse,
  };
}

function slowest(...rates: (number | undefined)[]): number | undefined {
  const known = rates.filter((rate) => rate !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** What `put` takes and `migrate` does not. */
function refuseOfOne({ seal, instructionFile }: Pick<PlanRequest, 'seal' | 'instructionFile'>): void {
  if (seal === undefined && !instructionFile) return;
  const what = seal === undefined ? 'Instruction files are' : '--seal none is';
  throw new SealiftError('usage', `${what} for one object, and SOURCE is many, which only migrate moves`, {
    hint: 'Leave it out, or plan the put of one file or object.',
  });
}

/** One of the objects of a directory, for the store to be asked about. */
function beneath(target: string, name: string): string {
  const prefix = target.endsWith('/') ? target : `${target}/`;
  return prefix + (target.startsWith('file:') ? encodeURIComponent(name.replaceAll('/', '-')) : name);
}

function nothingThere(source: string): SealiftError {
  const isBucket = isInBucket(source);
  return new SealiftError('source-not-found', `There is no ${isBucket ? 'object' : 'file'} under ${source}`, {
    hint: isBucket
      ? 'Check the prefix: keys begin so, letter by letter.'
      : 'Links are not followed. Name a directory that holds files.',
  });
}
