/** TLS 1.2 at least, to every service, also where Node was told to take less; and whom the command line trusts. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { kmsKeyring } from '../../src/keys/kms.ts';
import { createKmsClient } from '../../src/keys/kms-client.ts';
import { readKmsQuota } from '../../src/limits/service-quotas.ts';
import { sharedLimiter } from '../../src/limits/shared.ts';
import { kmsLimiter } from '../../src/limits/token-bucket.ts';
import { startSandbox } from '../../src/sandbox/server.ts';
import { createCertificate } from '../../src/sandbox/tls.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { run } from '../support/cli.ts';

const CIPHERS = 'DEFAULT:@SECLEVEL=0';
const { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS } = tls;
const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const bundle = join(folder, 'ca.pem');
let server: Server;
let url: string;
/** Connections that got as far as a session. */
let sessionCount = 0;

/** A server that speaks TLS 1.1, to a Node that was told to speak it too. */
beforeAll(async () => {
  const { ca, cert, key } = await createCertificate();
  writeFileSync(bundle, ca);
  server = createServer({ cert, key, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: CIPHERS }, (_, response) =>
    response.end('{}'),
  );
  server.on('secureConnection', () => sessionCount++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  tls.DEFAULT_MIN_VERSION = 'TLSv1';
  tls.DEFAULT_CIPHERS = CIPHERS;
  vi.stubEnv('AWS_ENDPOINT_URL', url);
  vi.stubEnv('AWS_REGION', 'us-east-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
});
afterAll(() => {
  Object.assign(tls, { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS });
  vi.unstubAllEnvs();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

test('a server that speaks nothing newer can be reached by others', async () => {
  const [response] = await once(get(url, { rejectUnauthorized: false }), 'response');
  response.resume();
  expect(sessionCount).toBe(1);
});

test.each([
  ['with AWS_CA_BUNDLE', () => bundle],
  ['without it', () => undefined],
])('and is not spoken to by S3, KMS, Service Quotas or a limiter, %s', async (_, bundleOf) => {
  vi.stubEnv('AWS_CA_BUNDLE', bundleOf());
  sessionCount = 0;
  const store = new S3Store(await resolveS3Settings({ bucket: 'bucket' }));
  await expect(store.head('key')).rejects.toMatchObject({
    code: 'store-error',
    hint: expect.stringContaining('TLS 1.2'),
  });
  store.close();
  const client = await createKmsClient();
  const limiter = kmsLimiter({ ratePerSecond: 1000 });
  const keyring = kmsKeyring({ client, limiter, keyIds: ['alias/a'], maxAttempts: 1 });
  await expect(keyring.makeDataKey({ encryptionContext: {} })).rejects.toMatchObject({ code: 'kms-unavailable' });
  client.destroy();
  await limiter.close();
  expect(await readKmsQuota('us-east-1')).toMatchObject({ from: 'table' });
  const shared = sharedLimiter({ ratePerSecond: 1, id: '', url: url.replace('https', 'rediss'), onNotice: () => {} });
  await expect(shared.take()).rejects.toMatchObject({ code: 'limiter-unavailable' });
  await shared.close();
  expect(sessionCount).toBe(0);
});

test('the command line trusts NODE_EXTRA_CA_CERTS, and says aloud what --allow-http allows', async () => {
  const sandbox = await startSandbox({ https: true, buckets: ['bucket'] });
  const { AWS_CA_BUNDLE, ...env } = sandbox.env;
  const { exit, stderr } = await run(['ls', 's3://bucket', '--allow-http'], {
    env: { ...env, AWS_CA_BUNDLE: undefined },
  });
  expect([exit, stderr]).toEqual([0, expect.stringMatching(/^Warning: --allow-http: .*http:\/\/ endpoint/)]);
  await sandbox.close();
});
