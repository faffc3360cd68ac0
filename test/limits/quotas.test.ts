import { expect, it } from 'vitest';
import { KMS_QUOTA_ELSEWHERE, KMS_QUOTAS, KMS_QUOTAS_AS_OF, kmsQuota } from '../../src/limits/quotas.ts';

it.each([
  ['us-east-1', 100_000],
  ['eu-west-1', 100_000],
  ['us-east-2', 20_000],
  ['eu-central-1', 20_000],
  ['eu-west-3', 10_000],
  ['xx-nowhere-9', 10_000],
])('%s grants %i a second', (region, perSecond) => {
  expect(kmsQuota(region)).toBe(perSecond);
});

it('is dated, names a Region once, and shows the older figures beside the new', () => {
  expect(KMS_QUOTAS_AS_OF).toMatch(/^\d{4}-\d\d-\d\d$/);
  const regions = KMS_QUOTAS.flatMap((quota) => quota.regions);
  expect(new Set(regions).size).toBe(regions.length);
  expect([...KMS_QUOTAS, KMS_QUOTA_ELSEWHERE].map((quota) => quota.formerly)).toEqual([30_000, 10_000, 5_500]);
});
