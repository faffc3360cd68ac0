/**
 * ARNs of KMS keys: `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`. Multi-Region keys, whose ids begin with mrk-, are the same
 * key in every Region where they have a replica.
 */

const KEY_ARN = /^arn:[\w-]+:kms:[\w-]+:\d{12}:key\/[\w-]+$/;

/** Whether this is the ARN of a key: not of an alias, and not a bare id. */
export function isKeyArn(text: string): boolean {
  return KEY_ARN.test(text);
}

/** Whether two key ARNs mean the same key: they are equal, or equal but for the Region of a multi-Region key. */
export function isSameKey(a: string, b: string): boolean {
  return a === b || (isKeyArn(a) && isMultiRegion(b) && inRegion(a, partsOf(b).region) === b);
}

/** The ARN of a multi-Region key's replica in `region`; that of any other key stays as it is. */
export function inRegion(arn: string, region: string): string {
  if (!isMultiRegion(arn)) return arn;
  const { partition, account, resource } = partsOf(arn);
  return ['arn', partition, 'kms', region, account, resource].join(':');
}

/** Which keys may be asked about that nobody named: keys of a partition, and of any account or of some. */
export interface DiscoveryFilter {
  /** `aws`, `aws-cn`, `aws-us-gov`. Default `aws`. */
  partition?: string | undefined;
  accountIds?: readonly string[] | undefined;
}

export function passes(arn: string, { partition = 'aws', accountIds = [] }: DiscoveryFilter): boolean {
  const parts = partsOf(arn);
  return parts.partition === partition && (accountIds.length === 0 || accountIds.includes(parts.account));
}

function isMultiRegion(arn: string): boolean {
  return isKeyArn(arn) && partsOf(arn).resource.startsWith('key/mrk-');
}

function partsOf(arn: string) {
  const [, partition = '', , region = '', account = '', resource = ''] = arn.split(':');
  return { partition, region, account, resource };
}
