/** What would put a bucket right, one change a setting, and how the changes are made. */
import { isDeepStrictEqual } from 'node:util';
import { isRefused, SealiftError } from '../errors.ts';
import type { BucketSettings, SettingName } from '../stores/bucket-settings.ts';
import type { S3Bucket } from '../stores/s3-bucket.ts';
import { type AnyCheck, judge, type Wishes } from './check.ts';
import { policyDifference } from './remedy.ts';

/** A setting, as it is and as it is to be, in S3's own shapes. */
export interface Change {
  setting: string;
  /** Null where it is not set. */
  before: unknown;
  after: unknown;
  /** Of a policy, the statements that are put into it; all others stay as they are. */
  added?: unknown[] | undefined;
  /** Older statements of ours that those take the place of. */
  removed?: unknown[] | undefined;
  /** What it does that its reader might not want. */
  consequences: string[];
}

/** What came of the changes. */
export interface Outcome {
  /** Changes that were made. */
  applied: Change[];
  /** What could not be changed, and why; where that ended it, what had been changed by then. */
  warnings: string[];
}

/** One change a setting, of all its checks together. */
export function changesOf(
  settings: ReadonlyMap<SettingName, BucketSettings[SettingName] | undefined>,
  checks: readonly AnyCheck[],
  wishes: Wishes,
): Change[] {
  const changes: Change[] = [];
  for (const [setting, value] of settings) {
    const mine = checks.filter((check) => check.setting === setting);
    const { after, consequences } = mend(value, mine, wishes);
    if (after === value) continue;
    const statements =
      setting === 'policy' ? policyDifference(value as string | undefined, after as string) : undefined;
    changes.push({ setting, before: value ?? null, after, ...statements, consequences });
  }
  return changes;
}

/**
 * What the checks of one setting make of it together. What one mends another may have been content with, so they are asked
 * in rounds: in each at least one mends that has not before, for none takes away what another has put in.
 */
function mend(
  before: unknown,
  checks: readonly AnyCheck[],
  wishes: Wishes,
): { after: unknown; consequences: string[] } {
  const consequences = new Set<string>();
  let after = before;
  for (let round = 0; round < checks.length; round++) {
    for (const check of checks) {
      const { mended, consequence } = judge(check, after, wishes);
      if (mended === undefined) continue;
      after = mended;
      if (consequence !== undefined) consequences.add(consequence);
    }
  }
  return { after, consequences: [...consequences] };
}

/**
 * Makes the changes, and notes in `outcome` what came of each. A refusal concerns one setting alone; any other failure is
 * the end of it. Throws `interrupted`.
 */
export async function applyAll(
  bucket: S3Bucket,
  changes: readonly Change[],
  { outcome: { applied, warnings }, signal }: { outcome: Outcome; signal: AbortSignal | undefined },
): Promise<void> {
  for (const change of changes) {
    const whose = `The ${change.setting} of the bucket`;
    try {
      if (await apply(bucket, change, signal)) applied.push(change);
      else warnings.push(`${whose} was changed by somebody else meanwhile, and was left alone`);
    } catch (error) {
      const { code, message, hint } = SealiftError.from(error);
      if (code === 'interrupted') throw error;
      warnings.push(`${whose} could not be changed: ${message}. ${hint}`);
      if (isRefused(error)) continue;
      warnings.push(`Nothing was tried after that. Changed before it: ${namesOf(applied)}`);
      return;
    }
  }
}

/** Makes a change if its setting still is what was shown. Resolves to whether it was. */
async function apply(
  bucket: S3Bucket,
  { setting, before, after }: Change,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const name = setting as SettingName;
  const now = (await bucket.read(name, { signal })) ?? null;
  if (!isDeepStrictEqual(now, before)) return false;
  await bucket.write(name, after as never, { signal });
  return true;
}

/** What was changed is never kept back, whoever ends it. */
export function interruptedAfter(applied: readonly Change[], cause: unknown): SealiftError {
  return new SealiftError('interrupted', `Interrupted. Changed before it: ${namesOf(applied)}`, {
    hint: 'A change that was on its way may have been made as well. Run the same command again: it does what is left.',
    cause,
  });
}

function namesOf(changes: readonly Change[]): string {
  return changes.map(({ setting }) => setting).join(', ') || 'nothing';
}
