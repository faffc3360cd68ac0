/**
 * How long it will take, from what there is to do and how fast things are: what flows at once is as fast as the slowest
 * of it, and large objects come one after the other. Arithmetic only; an estimate, good to a factor of two.
 */

/** How fast this machine and the way to the store are. */
export interface Speeds {
  /** Of one thread, to read, seal and sum up one plain byte. */
  sealSecondsPerByte: number;
  /** Bytes a second that the source can be read. Infinity, in JSON null, where it is a bucket's: none of that is read. */
  readBytesPerSecond: number;
  /** Likewise, what a small object of many takes beyond its bytes: its message, its file. */
  sealSecondsPerObject: number;
  /** What a ledger of its own and all else take on this machine for an object that goes whole. */
  secondsPerObject: number;
  /** From a small request to its answer. */
  roundTripSeconds: number;
}

export interface Work {
  objects: number;
  wholeObjects: number;
  parts: number;
  plainBytes: number;
  sealedBytes: number;
  /** Requests one after the other, beside those of parts. */
  turns: number;
  /** PUT, POST and their like; GET and HEAD. */
  writes: number;
  reads: number;
  kmsCalls: number;
  /** Those that S3 makes of KMS itself. */
  callsOfS3: number;
}

export interface Means {
  /** Threads at work, each on a core of its own if there are as many. */
  threads: number;
  lanes: number;
  /** Objects that go whole: requests of them that are under way at once, and how many a transaction of the ledger has. */
  together: { sent: number; written: number };
  /** The store is across a network: sending costs CPU. */
  isRemote: boolean;
  /** What is put comes out of a bucket: receiving costs CPU as well. */
  comesFromBucket: boolean;
  bytesPerSecond: number | undefined;
  kmsPerSecond: number | undefined;
  /** What KMS grants the account a second, which S3's own calls come out of too. */
  kmsQuota: number | undefined;
}

/** What can hold a job up. */
export type Limit = 'cpu' | 'disk' | 'bandwidth' | 'latency' | 'objects' | 'kms' | 's3-rate';

/** How long it will take, and why. */
export interface Estimate {
  seconds: number;
  limitedBy: Limit;
  /** What each would take alone. */
  each: Record<Limit, number>;
}

/** All that a put over TLS takes of a CPU for each second of sealing (README, "Numbers": 2.3 s a GiB, of which 0.5 seal). */
const REMOTE_CPU_FACTOR = 4.6;
const LOCAL_CPU_FACTOR = 1.5;
/** Receiving over TLS takes about what sending does. */
const RECEIVE_CPU_FACTOR = REMOTE_CPU_FACTOR - 1;
/** A second core gives so much of the first: they share caches, memory, often an ALU. Measured: 0 to 1.2. */
const NEXT_CORE_GAIN = 0.5;
/** What S3 takes a second for each prefix at least (S3 User Guide, "Best practices design patterns"). */
export const PREFIX_WRITES_PER_SECOND = 3_500;
export const PREFIX_READS_PER_SECOND = 5_500;

export function estimate(work: Work, speeds: Speeds, means: Means): Estimate {
  const { objects, wholeObjects, parts, turns, plainBytes, sealedBytes, writes, reads, kmsCalls, callsOfS3 } = work;
  const { sealSecondsPerByte, sealSecondsPerObject, readBytesPerSecond, secondsPerObject, roundTripSeconds } = speeds;
  const { threads, lanes, together, isRemote, comesFromBucket, bytesPerSecond, kmsPerSecond, kmsQuota } = means;
  const cpuFactor = (isRemote ? REMOTE_CPU_FACTOR : LOCAL_CPU_FACTOR) + (comesFromBucket ? RECEIVE_CPU_FACTOR : 0);
  // Before whatever is sent there is a GET.
  const fetches = comesFromBucket ? 1 : 0;
  const sealSeconds = plainBytes * sealSecondsPerByte + wholeObjects * sealSecondsPerObject;
  const wholeShare = wholeObjects / objects;
  const ledgers = objects - wholeObjects + wholeObjects / together.written;
  const turnsInRow = turns * (1 - wholeShare + wholeShare / together.sent);
  const each = {
    cpu: (sealSeconds * cpuFactor) / (1 + NEXT_CORE_GAIN * (threads - 1)),
    disk: (isRemote ? plainBytes : plainBytes + sealedBytes) / readBytesPerSecond,
    bandwidth: timeFor(sealedBytes + fetches * plainBytes, bytesPerSecond),
    latency: ((parts - wholeObjects) * (1 + fetches) * roundTripSeconds) / lanes,
    objects: ledgers * secondsPerObject + turnsInRow * roundTripSeconds,
    kms: Math.max(timeFor(kmsCalls, kmsPerSecond), timeFor(kmsCalls + callsOfS3, kmsQuota)),
    's3-rate': isRemote ? Math.max(writes / PREFIX_WRITES_PER_SECOND, reads / PREFIX_READS_PER_SECOND) : 0,
  };
  const flow = Math.max(each.cpu, each.disk, each.bandwidth, each.latency);
  const inRow = Math.max(each.objects, each.kms, each['s3-rate']);
  const longestFirst = (Object.keys(each) as Limit[]).sort((one, other) => each[other] - each[one]);
  return { seconds: flow + inRow, limitedBy: longestFirst[0]!, each };
}

/** Seconds; none at a rate that is not known. */
function timeFor(count: number, perSecond = Number.POSITIVE_INFINITY): number {
  return count / perSecond;
}
