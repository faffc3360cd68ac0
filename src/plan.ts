/**
 * `plan`: what putting a file, or every file of a directory, will need, before anything of it happens. Parts, requests and
 * KMS calls are counted by the code that a put itself cuts by, and so exact; time is an estimate from what was measured
 * here (plan/rehearsal.ts); cost follows from a table of prices.
 */
import { SealiftError } from './errors.ts';
import type { RunOptions, Tools } from './job.ts';
import type { KmsQuota } from './limits/service-quotas.ts';
import { type AtRest, atRestOf } from './plan/at-rest.ts';
import { type Cost, costOf, PRICES, type PriceTable } from './plan/prices.ts';
import { rehearse } from './plan/rehearsal.ts';
import { objectsUnder } from './plan/sources.ts';
import { type LargestObject, type Requests, Tally, turnsOf } from './plan/tally.ts';
import { type Estimate, estimate, type Speeds } from './plan/time.ts';
import { headersFor, type SealOptions } from './put/attempt.ts';
import { formatFor } from './put/format.ts';
import { encryptionAsked } from './stores/encryption.ts';

/** What is to be put where. */
export interface PlanRequest extends SealOptions, Pick<RunOptions, 'signal'> {
  /** A file's path, or a directory's: every file under it is an object. */
  source: string;
  /** `s3://bucket/key` or `file:///path`; of a directory what the objects' names begin with. */
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

/** Throws what a put of these files would throw of them, of sizes, format and memory, and of the bucket. */
export async function plan(
  request: PlanRequest,
  tools: Tools,
  { bwlimit, kmsUse }: { bwlimit: number | undefined; kmsUse: () => Promise<KmsUse | undefined> },
): Promise<Plan> {
  const { source, target, prices = PRICES, signal, ...options } = request;
  const tally = new Tally(options, tools);
  let first: string | undefined;
  for await (const object of objectsUnder(source)) {
    if (signal?.aborted) throw SealiftError.interrupted(signal, 'plan');
    first ??= object.name;
    tally.add(object);
  }
  const { largest, smallest } = tally;
  if (first === undefined || !largest || !smallest) throw nothingThere(source);

  const place = await tools.place(first === '' ? target : beneath(target, first));
  // As a put does before it sends anything, for what it throws.
  const asked = encryptionAsked(options);
  headersFor({ request: { ...options, sse: asked }, place }, formatFor(options));
  const isRemote = place.store.copies !== undefined;
  const whole = tally.wholeObjects > 0 ? smallest.path : undefined;
  const speeds = await rehearse({ largest: largest.path, whole, place, options, tools });
  const use = options.seal === 'none' ? undefined : await kmsUse();
  const requests = isRemote ? tally.requests : undefined;
  const atRest = requests && (await atRestOf({ place, asked, requests }, signal));
  const callsOfS3 = atRest?.encryption ? atRest.kmsCalls : 0;
  const crew = largest.crew?.plan;
  const timeWith = (kmsCalls: number) =>
    estimate({ ...tally, ...(requests ? turnsOf(requests) : { writes: 0, reads: 0 }), kmsCalls, callsOfS3 }, speeds, {
      threads: crew?.threadCount ?? 1,
      lanes: crew?.lanes.start ?? 1,
      isRemote,
      bytesPerSecond: slowest(bwlimit, request.bandwidth),
      kmsPerSecond: use?.ratePerSecond,
      kmsQuota: use?.quota.perSecond,
    });
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
    kms,
    atRest,
    speeds,
    time: timeWith(kms?.calls ?? 0),
    cost:
      requests &&
      costOf(
        { requests, kmsCalls: (kms?.calls ?? 0) + callsOfS3, sealedBytes: tally.sealedBytes },
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

/** One of the objects of a directory, for the store to be asked about. */
function beneath(target: string, name: string): string {
  const prefix = target.endsWith('/') ? target : `${target}/`;
  return prefix + (target.startsWith('file:') ? encodeURIComponent(name.replaceAll('/', '-')) : name);
}

function nothingThere(source: string): SealiftError {
  return new SealiftError('source-not-found', `There is no file under ${source}`, {
    hint: 'Links are not followed. Name a directory that holds files.',
  });
}
