/** How a gap is closed by hand: a command of the AWS CLI, or the statement that the policy lacks. */
import { isDeepStrictEqual } from 'node:util';
import { type BucketSettings, type SettingName, settingInput } from '../stores/bucket-settings.ts';
import { shellWord } from '../stores/s3-errors.ts';
import { type Statement, statementsOf } from './policy.ts';

const CALLS: Readonly<Record<Exclude<SettingName, 'policy'>, string>> = {
  encryption: 'put-bucket-encryption',
  versioning: 'put-bucket-versioning',
  lifecycle: 'put-bucket-lifecycle-configuration',
  ownership: 'put-bucket-ownership-controls',
  publicAccess: 'put-public-access-block',
};

export function remedyOf<Name extends SettingName>(
  setting: Name,
  { bucket, before, after }: { bucket: string; before: BucketSettings[Name] | undefined; after: BucketSettings[Name] },
): string {
  if (setting === 'policy') {
    const { added, removed } = policyDifference(before as string | undefined, after as string);
    const [statements, olds] = [added, removed].map((some) => some.map((one) => JSON.stringify(one)).join(', '));
    return olds === '' ? `Add to the policy: ${statements}` : `Replace in the policy: ${olds} by: ${statements}`;
  }
  const input = settingInput[setting as Name](after as never);
  const flags = Object.entries(input).flatMap(([field, value]) => (value === undefined ? [] : [flagOf(field, value)]));
  return `aws s3api ${CALLS[setting as keyof typeof CALLS]} --bucket ${bucket} ${flags.join(' ')}`;
}

/** The AWS CLI names its flags after S3's fields, with hyphens, and takes JSON. */
function flagOf(field: string, value: unknown): string {
  const flag = field.replace(/(?<!^)[A-Z]/g, '-$&').toLowerCase();
  return `--${flag} ${shellWord(typeof value === 'string' ? value : JSON.stringify(value))}`;
}

/** Statements that the one policy has and the other has not, or not so. */
export function policyDifference(
  before: string | undefined,
  after: string,
): { added: Statement[]; removed: Statement[] } {
  const [old, young] = [statementsOf(before), statementsOf(after)];
  return { added: without(young, old), removed: without(old, young) };
}

function without(statements: readonly Statement[], others: readonly Statement[]): Statement[] {
  return statements.filter((statement) => !others.some((other) => isDeepStrictEqual(other, statement)));
}
