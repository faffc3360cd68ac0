/**
 * How many cryptographic operations a second AWS KMS grants an account in a Region: the default of quota L-6E3AF000,
 * "Cryptographic operations (symmetric) request rate", which Decrypt, Encrypt, GenerateDataKey and their like share,
 * S3's own calls for SSE-KMS included. An account may have been granted more.
 *
 * From the KMS Developer Guide, "Request quotas", as it stood on the date below. Many texts still show the figures
 * before: the Regions are the same, the numbers were 5,500, 10,000 and 30,000.
 */

/** As Service Quotas name it. */
export const KMS_QUOTA = { ServiceCode: 'kms', QuotaCode: 'L-6E3AF000' } as const;

export const KMS_QUOTAS_AS_OF = '2026-11-23';

export const KMS_QUOTAS: readonly { perSecond: number; formerly: number; regions: readonly string[] }[] = [
  { perSecond: 100_000, formerly: 30_000, regions: ['us-east-1', 'us-west-2', 'eu-west-1'] },
  {
    perSecond: 20_000,
    formerly: 10_000,
    regions: ['us-east-2', 'ap-southeast-1', 'ap-southeast-2', 'ap-northeast-1', 'eu-central-1', 'eu-west-2'],
  },
];

/** Every other Region, and those that did not exist when the table was made. */
export const KMS_QUOTA_ELSEWHERE = { perSecond: 10_000, formerly: 5_500 };

/** Operations a second in `region`. */
export function kmsQuota(region: string): number {
  const row = KMS_QUOTAS.find((quota) => quota.regions.includes(region));
  return (row ?? KMS_QUOTA_ELSEWHERE).perSecond;
}
