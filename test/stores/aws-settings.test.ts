import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { refusePlainHttp } from '../../src/stores/s3-agent.ts';
import { openS3Parts } from '../../src/stores/s3-parts.ts';

let folder: string;

/** Starts each test from a machine without any AWS setting. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealift-aws-'));
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  config('');
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function config(text: string): void {
  const path = join(folder, 'config');
  writeFileSync(path, text);
  vi.stubEnv('AWS_CONFIG_FILE', path);
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'none'));
}

async function settingsOf(options: Partial<Parameters<typeof resolveS3Settings>[0]> = {}) {
  return (await resolveS3Settings({ bucket: 'backups', ...options })).settings;
}

describe('the region', () => {
  it.each([
    ['AWS_REGION', { AWS_REGION: 'eu-west-1', AWS_DEFAULT_REGION: 'us-east-2' }, 'eu-west-1'],
    ['AWS_DEFAULT_REGION, as the AWS CLI', { AWS_DEFAULT_REGION: 'us-east-2' }, 'us-east-2'],
    ['the profile', { AWS_PROFILE: 'work' }, 'ap-south-1'],
  ])('comes from %s', async (_, env, region) => {
    config('[profile work]\nregion = ap-south-1\n');
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    expect(await settingsOf()).toMatchObject({ region });
  });

  it('given by the caller wins', async () => {
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    expect(await settingsOf({ region: 'us-west-2' })).toMatchObject({ region: 'us-west-2' });
  });

  it('missing is no-region', async () => {
    await expect(settingsOf()).rejects.toMatchObject({
      code: 'no-region',
      hint: expect.stringContaining('AWS_REGION'),
    });
  });
});

describe('the endpoint', () => {
  beforeEach(() => vi.stubEnv('AWS_REGION', 'eu-west-1'));

  it('is AWS itself where nothing says otherwise', async () => {
    expect(await settingsOf()).toMatchObject({ endpoint: undefined, forcePathStyle: false });
  });

  it.each([
    [
      'AWS_ENDPOINT_URL_S3',
      { AWS_ENDPOINT_URL_S3: 'https://a.example', AWS_ENDPOINT_URL: 'https://b.example' },
      'https://a.example',
    ],
    ['AWS_ENDPOINT_URL', { AWS_ENDPOINT_URL: 'https://b.example' }, 'https://b.example'],
    ['the profile', { AWS_PROFILE: 'work' }, 'https://c.example'],
  ])('comes from %s', async (_, env, endpoint) => {
    config('[profile work]\nregion = ap-south-1\nendpoint_url = https://c.example\n');
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    expect(await settingsOf()).toMatchObject({ endpoint, forcePathStyle: false });
  });

  it.each([
    ['backups', 'https://127.0.0.1:9000', true],
    ['backups', 'https://[::1]:9000', true],
    ['backups', 'https://10.1.2.3', true],
    ['backups', 'https://localhost:9000', true],
    ['backups', 'https://minio.example', false],
    ['dotted.name', undefined, true],
    ['backups', undefined, false],
  ])('of bucket %s at %s has path style %s', async (bucket, endpoint, forcePathStyle) => {
    expect(await settingsOf({ bucket, endpoint })).toMatchObject({ forcePathStyle });
  });

  it('has path style where the caller wants it', async () => {
    expect(await settingsOf({ pathStyle: true })).toMatchObject({ forcePathStyle: true });
  });
});

describe('bytes', () => {
  beforeEach(() => vi.stubEnv('AWS_REGION', 'eu-west-1'));

  it.each([
    ['backups', undefined, 'https://backups.s3.eu-west-1.amazonaws.com/'],
    ['dotted.name', undefined, 'https://s3.eu-west-1.amazonaws.com/dotted.name'],
    ['backups', 'https://minio.example/store', 'https://backups.minio.example/store'],
    ['backups', 'https://127.0.0.1:9000', 'https://127.0.0.1:9000/backups'],
  ])('of bucket %s at %s are asked of %s', async (bucket, endpoint, url) => {
    expect((await settingsOf({ bucket, endpoint })).direct).toEqual({ url, region: 'eu-west-1', service: 's3' });
  });

  it('are asked of what the SDK would ask', async () => {
    vi.stubEnv('AWS_USE_FIPS_ENDPOINT', 'true');
    vi.stubEnv('AWS_USE_DUALSTACK_ENDPOINT', 'true');
    const { direct } = await settingsOf();
    expect(direct?.url).toBe('https://backups.s3-fips.dualstack.eu-west-1.amazonaws.com/');
  });

  it('of a directory bucket, which wants a session, are left to the SDK', async () => {
    expect((await settingsOf({ bucket: 'backups--euw1-az1--x-s3' })).direct).toBeUndefined();
  });
});

describe('plain HTTP', () => {
  const refused = [
    'http://minio.example',
    'http://10.1.2.3:9000',
    'http://0.0.0.0:9000',
    'http://127.0.0.1.example',
    'http://localhost:9000',
    'http://localhost.example',
    'http://[::2]:9000',
    'HTTP://minio.example',
    'http://user@minio.example',
    'http://localhost@minio.example',
  ];

  it.each(refused)('to %s is refused before anything is opened', async (endpoint) => {
    await expect(settingsOf({ endpoint, region: 'eu-west-1' })).rejects.toMatchObject({
      code: 'plain-http',
      exit: 2,
      hint: expect.stringContaining('--allow-http'),
    });
  });

  it.each(refused)('to %s is refused by the store too, whoever made its settings', async (endpoint) => {
    const { settings, credentials } = await resolveS3Settings({ bucket: 'backups', region: 'eu-west-1' });
    const refusal = expect.objectContaining({ code: 'plain-http' });
    expect(() => new S3Store({ settings: { ...settings, endpoint }, credentials })).toThrow(refusal);
    const direct = { ...settings.direct!, url: endpoint };
    expect(() => openS3Parts({ settings: { ...settings, direct }, credentials })).toThrow(refusal);
  });

  it.each([
    'http://127.0.0.1:9000',
    'http://127.9.9.9:9000',
    'http://127.1:9000',
    'http://[::1]:9000',
    'https://minio.example',
  ])('does not stop %s', (endpoint) => {
    expect(() => refusePlainHttp({ endpoint, allowHttp: false })).not.toThrow();
  });

  it('is the user’s own risk with allowHttp', async () => {
    expect(await settingsOf({ endpoint: 'http://minio.example', region: 'eu-west-1', allowHttp: true })).toMatchObject({
      allowHttp: true,
    });
  });

  it.each(['minio.example', 'ftp://minio.example', ''])(
    'is not asked about %s, which is no endpoint',
    async (endpoint) => {
      await expect(settingsOf({ endpoint, region: 'eu-west-1' })).rejects.toMatchObject({ code: 'bad-option' });
    },
  );
});

describe('credentials', () => {
  beforeEach(() => vi.stubEnv('AWS_REGION', 'eu-west-1'));

  it('come from the chain', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    const { credentials } = await resolveS3Settings({ bucket: 'backups' });
    expect(await credentials()).toMatchObject({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' });
  });

  it('missing are credentials-missing, from the provider and from the store', async () => {
    const { settings, credentials } = await resolveS3Settings({ bucket: 'backups' });
    const missing = { code: 'credentials-missing', hint: expect.stringContaining('AWS_PROFILE') };
    await expect(credentials()).rejects.toMatchObject(missing);
    const store = new S3Store({ settings, credentials });
    await expect(store.head('photos.tar')).rejects.toMatchObject(missing);
    store.close();
  });

  it('and settings cross to a thread as plain data', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    const { settings, credentials } = await resolveS3Settings({
      bucket: 'backups',
      expectedBucketOwner: '123456789012',
    });
    expect(structuredClone(settings)).toEqual(settings);
    expect(structuredClone(await credentials())).toEqual(await credentials());
  });
});

describe('other settings', () => {
  it('AWS_MAX_ATTEMPTS is honoured', async () => {
    vi.stubEnv('AWS_MAX_ATTEMPTS', '2');
    expect(await settingsOf({ region: 'eu-west-1' })).toMatchObject({ maxAttempts: 2 });
  });

  it.each([
    ['is not there', 'none.pem', undefined],
    ['is no PEM', 'bad.pem', '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n'],
  ])('AWS_CA_BUNDLE that %s is bad-option', async (_, name, content) => {
    if (content) writeFileSync(join(folder, name), content);
    vi.stubEnv('AWS_CA_BUNDLE', join(folder, name));
    const { settings, credentials } = await resolveS3Settings({ bucket: 'backups', region: 'eu-west-1' });
    expect(() => new S3Store({ settings, credentials })).toThrow(
      expect.objectContaining({ code: 'bad-option', message: expect.stringContaining('AWS_CA_BUNDLE') }),
    );
  });
});
