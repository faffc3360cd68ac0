/**
 * `doctor`: what is right and wrong with a bucket, and how it is put right. It reads every setting once, judges them, and
 * looks at the uploads in progress. What it would change is shown first; a setting is written only if it still is what was
 * shown, and then all is looked at again, so that what is told at the end is what is there.
 */
import { applyAll, type Change, changesOf, interruptedAfter, type Outcome } from './doctor/apply.ts';
import { type AnyCheck, judge, type Wishes } from './doctor/check.ts';
import { CHECKS } from './doctor/checks.ts';
import { demandsOf } from './doctor/demands.ts';
import { remedyOf } from './doctor/remedy.ts';
import { findUploads, type UploadFinding } from './doctor/uploads.ts';
import { isRefused, SealiftError } from './errors.ts';
import type { Place, RunOptions, Tools } from './job.ts';
import type { S3Settings } from './stores/aws-settings.ts';
import type { BucketSettings, SettingName } from './stores/bucket-settings.ts';
import { openBucket } from './stores/open.ts';
import { partitionOf } from './stores/partitions.ts';
import type { S3Bucket } from './stores/s3-bucket.ts';

/** What one check came to. */
export interface Finding {
  /** `transport`, `tls`, `encryption`, `bucket-key`, `sse-c`, `versioning`, `lifecycle`, `ownership`, `public-access`, … */
  check: string;
  /** `unknown`: it could not be looked at. `note`: neither right nor wrong, but worth knowing. */
  state: 'ok' | 'gap' | 'unknown' | 'note';
  found: string;
  /** Why it matters. */
  why: string;
  /** Of a gap, how it is closed; of what is unknown, what is needed to know. Else ''. */
  remedy: string;
}

/** What there is to say of a bucket. */
export interface Diagnosis extends Outcome {
  bucket: string;
  findings: Finding[];
  uploads: UploadFinding[];
}

/** Which bucket, what is wanted of it, and whether it may be put right. */
export interface DoctorRequest extends Pick<RunOptions, 'signal'> {
  /** `s3://bucket`. */
  bucket: string;
  /** Is shown what would close the gaps, and says whether to do it. Without it nothing is changed. */
  approve?: ((changes: readonly Change[]) => boolean | Promise<boolean>) | undefined;
  /** SSE-C is to be allowed: unblocked where it is blocked. */
  allowSseC?: boolean | undefined;
  /** How every object is to be encrypted at rest. A key is named by its whole ARN. */
  requireSse?: Wishes['requireSse'];
  /** A tag that every object is to come with. */
  requireTag?: Wishes['requireTag'];
  /** Checks that are not to be made, by name. */
  skip?: readonly string[] | undefined;
}

/** A setting as it was seen, or why it could not be. */
type Seen = { value: BucketSettings[SettingName] | undefined } | { failure: SealiftError };
type Look = ReadonlyMap<SettingName, Seen>;

/** How the bucket is looked at, and which errors are told of instead of thrown. */
interface Looking {
  signal: AbortSignal | undefined;
  tellsOf(error: unknown): boolean;
}

/**
 * Throws `bad-option`, `bucket-not-found`, and what makes every call fail. Of what is denied it tells, and once a change
 * was begun of every failure: what was changed is never kept back.
 */
export async function doctor(request: DoctorRequest, place: Place, tools: Pick<Tools, 'stateDir'>): Promise<Diagnosis> {
  const { signal, approve } = request;
  const settings = place.settings as S3Settings;
  const wishes = wishesOf(request, settings);
  const checks = checksFor(request, wishes);
  const { stateDir } = tools;
  const bucket = await openBucket(place);
  const outcome: Outcome = { applied: [], warnings: [] };
  try {
    await reach(bucket, signal);
    let looking: Looking = { signal, tellsOf: isRefused };
    let look = await lookAt(bucket, checks, looking);
    const changes = changesOf(seenIn(look), checks, wishes);
    if (approve && changes.length > 0 && (await approve(changes))) {
      await applyAll(bucket, changes, { outcome, signal });
      looking = { signal, tellsOf: (error) => !isInterrupted(error) };
      look = await lookAt(bucket, checks, looking);
    }
    const findings = findingsOf(look, checks, wishes);
    const uploads = await uploadsOf({ bucket, place, findings }, stateDir, looking);
    return { bucket: settings.bucket, findings, uploads, ...outcome };
  } catch (error) {
    throw approve && isInterrupted(error) ? interruptedAfter(outcome.applied, error) : error;
  } finally {
    bucket.close();
  }
}

function isInterrupted(error: unknown): boolean {
  return SealiftError.from(error).code === 'interrupted';
}

function checksFor({ skip = [] }: DoctorRequest, wishes: Wishes): AnyCheck[] {
  const unknown = skip.find((name) => !CHECKS.some((check) => check.name === name));
  if (unknown !== undefined) {
    throw new SealiftError('bad-option', `There is no check ${JSON.stringify(unknown)} to skip`, {
      hint: `The checks are ${CHECKS.map(({ name }) => name).join(', ')}.`,
    });
  }
  return CHECKS.filter(({ name, isWanted }) => !skip.includes(name) && (isWanted?.(wishes) ?? true));
}

function wishesOf({ allowSseC = false, requireSse, requireTag }: DoctorRequest, settings: S3Settings): Wishes {
  const { bucket, region, endpoint } = settings;
  if (requireSse?.keyId !== undefined && !/^arn:[\w-]+:kms:[^:]+:\d{12}:key\/.+$/.test(requireSse.keyId)) {
    throw new SealiftError('bad-option', `A policy cannot require the key ${JSON.stringify(requireSse.keyId)}`, {
      hint: 'Name it by its whole ARN, arn:aws:kms:REGION:ACCOUNT:key/ID, which writers then have to do as well.',
    });
  }
  if (requireSse && allowSseC) {
    throw new SealiftError('bad-option', 'An object with SSE-C has no other encryption at rest', {
      hint: 'Leave --require-sse away, or --allow-sse-c.',
    });
  }
  const plainHttp = endpoint?.startsWith('http:') ?? false;
  return { bucket, partition: partitionOf(region), plainHttp, allowSseC, requireSse, requireTag };
}

/** A bucket whose policy keeps us from listing it is there. */
async function reach(bucket: S3Bucket, signal: AbortSignal | undefined): Promise<void> {
  try {
    await bucket.check({ signal });
  } catch (error) {
    if (!isRefused(error)) throw error;
  }
}

async function lookAt(bucket: S3Bucket, checks: readonly AnyCheck[], { signal, tellsOf }: Looking): Promise<Look> {
  const names = [...new Set(checks.map(({ setting }) => setting))];
  const looks = names.map(async (name): Promise<[SettingName, Seen]> => {
    try {
      return [name, { value: await bucket.read(name, { signal }) }];
    } catch (error) {
      if (!tellsOf(error)) throw error;
      return [name, { failure: SealiftError.from(error) }];
    }
  });
  return new Map(await Promise.all(looks));
}

/** The settings that could be looked at. */
function seenIn(look: Look): Map<SettingName, BucketSettings[SettingName] | undefined> {
  return new Map([...look].flatMap(([name, seen]) => ('failure' in seen ? [] : [[name, seen.value] as const])));
}

function findingsOf(look: Look, checks: readonly AnyCheck[], wishes: Wishes): Finding[] {
  /** What the remedies make of the settings, one after the other: by hand, too, none may undo the one before. */
  const remedied = new Map<SettingName, unknown>();
  const findings = checks.map((check): Finding => {
    const { name, why, setting } = check;
    const seen = look.get(setting)!;
    if ('failure' in seen) {
      return { check: name, state: 'unknown', found: seen.failure.message, why, remedy: seen.failure.hint };
    }
    const { found, mended, remedy } = judge(check, seen.value, wishes);
    if (mended === undefined) return { check: name, state: remedy ? 'gap' : 'ok', found, why, remedy: remedy ?? '' };
    const before = remedied.get(setting) ?? seen.value;
    const after = judge(check, before, wishes).mended ?? before;
    remedied.set(setting, after);
    const byHand = remedyOf(setting, { bucket: wishes.bucket, before: before as never, after: after as never });
    return { check: name, state: 'gap', found, why, remedy: byHand };
  });
  const policy = look.get('policy');
  const demands = policy && 'value' in policy ? demandsOf(policy.value as string | undefined) : [];
  return [
    ...findings,
    ...demands.map(
      (demand): Finding => ({
        check: 'demand',
        state: 'note',
        why: 'The policy refuses what does not comply.',
        ...demand,
      }),
    ),
  ];
}

/** More uploads than these are not looked into. */
const MAX_UPLOADS = 10_000;

/** Uploads are told of, whatever they are; that they cannot be looked for, or not all of them, is a finding. */
async function uploadsOf(
  { bucket, place, findings }: { bucket: S3Bucket; place: Place; findings: Finding[] },
  stateDir: string,
  { signal, tellsOf }: Looking,
): Promise<UploadFinding[]> {
  const bucketName = (place.settings as S3Settings).bucket;
  const unknown = (found: string, remedy: string) =>
    findings.push({
      check: 'uploads',
      state: 'unknown',
      found,
      why: 'Parts of uploads in progress are billed.',
      remedy,
    });
  try {
    const limits = { stateDir, maxCount: MAX_UPLOADS, signal };
    const { uploads, hasMore } = await findUploads({ bucket, store: place.store, bucketName }, limits);
    if (hasMore) {
      unknown(
        `More than ${MAX_UPLOADS} uploads are in progress: those told of are the first ${MAX_UPLOADS}, by key`,
        `aws s3api list-multipart-uploads --bucket ${bucketName}`,
      );
    }
    return uploads;
  } catch (error) {
    if (!tellsOf(error)) throw error;
    const { message, hint } = SealiftError.from(error);
    unknown(message, hint);
    return [];
  }
}
