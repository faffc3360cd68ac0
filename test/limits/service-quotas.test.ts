import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { EngineKeys, kmsKeyring } from '../../src/engine/keys.ts';
import type { JobEvent } from '../../src/job.ts';
import type { WrappingKeyring } from '../../src/keys/keyring.ts';
import { KMS_QUOTAS_AS_OF } from '../../src/limits/quotas.ts';
import { readKmsQuota } from '../../src/limits/service-quotas.ts';
import { openStage, type Stage } from '../support/stage.ts';

const REGION = 'us-east-1';
const QUOTA = 12_345;
let stage: Stage;

beforeAll(async () => {
  stage = await openStage({ kmsQuota: QUOTA });
});

afterAll(() => stage.close());

beforeEach(() => {
  stage.requests.length = 0;
  stage.sandbox.setFaults('');
});

it("reads the account's own value", async () => {
  expect(await readKmsQuota(REGION)).toEqual({ region: REGION, perSecond: QUOTA, from: 'account' });
  expect(stage.requests).toMatchObject([{ service: 'servicequotas', operation: 'GetServiceQuota', status: 200 }]);
});

it('takes the default where the account has no value of its own, and says why', async () => {
  stage.sandbox.setFaults('GetServiceQuota:*=400/NoSuchResourceException');
  expect(await readKmsQuota(REGION)).toMatchObject({
    perSecond: 10_000,
    from: 'default',
    reason: expect.stringContaining('NoSuchResourceException'),
  });
});

it('takes the table where nobody may be asked, and says why', async () => {
  stage.sandbox.setFaults('*:*=AccessDeniedException');
  const table = { perSecond: 100_000, from: 'table', asOf: KMS_QUOTAS_AS_OF };
  expect(await readKmsQuota(REGION)).toMatchObject({ ...table, reason: expect.stringContaining('AccessDenied') });
});

it('signs its requests: with another secret it is not answered', async () => {
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'another');
  try {
    expect(await readKmsQuota(REGION)).toMatchObject({ from: 'table', reason: expect.stringContaining('Signature') });
  } finally {
    for (const [name, value] of Object.entries(stage.sandbox.env)) vi.stubEnv(name, value);
  }
});

it('is not spoken to over plain HTTP, and asked again once that is mended', async () => {
  const keys = new EngineKeys({}, { onRetry: () => {}, onNotice: () => {} });
  const wish = kmsKeyring({ keyIds: [stage.sandbox.kmsKeyId], share: 'auto' });
  vi.stubEnv('AWS_ENDPOINT_URL_SERVICE_QUOTAS', 'http://quotas.example.com');
  await expect(keys.fulfil(wish)).rejects.toMatchObject({ code: 'plain-http' });
  vi.stubEnv('AWS_ENDPOINT_URL_SERVICE_QUOTAS', undefined);
  await keys.fulfil(wish);
  await keys.close();
});

it('is asked once by an engine whose share is auto, and by no other', async () => {
  const plot = stage.plot('auto', 100);
  const { source } = plot;
  const keyIds = [stage.sandbox.kmsKeyId];
  const asked = () => stage.requests.filter(({ service }) => service !== 's3').map(({ operation }) => operation);

  await using fixed = stage.engine(plot, { keyring: kmsKeyring({ keyIds, share: 0.1 }) });
  await fixed.put({ source, target: `${plot.target}-0` });
  expect(asked()).toEqual(['GenerateDataKey']);

  stage.requests.length = 0;
  await using auto = stage.engine(plot, { keyring: kmsKeyring({ keyIds, share: 'auto' }), keyReuse: 'off' });
  for (const number of [1, 2]) await auto.put({ source, target: `${plot.target}-${number}` });
  expect(asked()).toEqual(['GetServiceQuota', 'GenerateDataKey', 'GenerateDataKey']);
});

it('is told of where it cannot be asked, once', async () => {
  const plot = stage.plot('untold', 100);
  const onEvent = (event: JobEvent) => event.type === 'limiter' && told.push(event.message);
  const told: string[] = [];
  const keyring = kmsKeyring({ keyIds: [stage.sandbox.kmsKeyId], share: 'auto' });
  await using engine = stage.engine(plot, { keyring, keyReuse: 'off' });
  stage.sandbox.setFaults('GetServiceQuota:*=AccessDeniedException; GetAWSDefaultServiceQuota:*=AccessDeniedException');
  for (const number of [1, 2]) {
    await engine.put({ source: plot.source, target: `${plot.target}-${number}`, onEvent });
  }
  expect(told).toEqual([expect.stringMatching(/\(AccessDenied.*20000 times a second at most, .* table of \d/)]);
});

it('several who need keys at once share one limiter and one quota', async () => {
  const keys = new EngineKeys({}, { onRetry: () => {}, onNotice: () => {} });
  const wish = kmsKeyring({ keyIds: [stage.sandbox.kmsKeyId], share: 'auto' });
  const keyrings = (await Promise.all([keys.fulfil(wish), keys.fulfil(wish)])) as WrappingKeyring[];
  expect(stage.requests.map(({ operation }) => operation)).toEqual(['GetServiceQuota']);
  await keys.close();
  for (const keyring of keyrings) {
    await expect(keyring.makeDataKey({ encryptionContext: {} })).rejects.toMatchObject({ code: 'interrupted' });
  }
});
