/**
 * Which store an object's URL means, and how to reach it: from settings that cross to any thread. What belongs to S3
 * is loaded where S3 is meant: the SDK takes a tenth of a second and 20 MiB in every thread.
 */
import type { Bandwidth } from '../limits/bandwidth.ts';
import type { Retry } from '../network.ts';
import type { CredentialProvider, Credentials, S3Options, S3Settings } from './aws-settings.ts';
import { type DirectorySettings, DirectoryStore } from './directory.ts';
import { LimitedParts, LimitedStore } from './limited.ts';
import type { ObjectUrl } from './object-url.ts';
import type { S3Bucket } from './s3-bucket.ts';
import type { PartStore, Store } from './store.ts';

/** Everything a thread needs to reach one bucket or directory, except credentials. Structured-cloneable. */
export type StoreSettings = S3Settings | DirectorySettings;

/** Resolves to valid credentials, or to nothing where the store asks for none. */
export type StoreCredentials = () => Promise<Credentials | undefined>;

/** What resolving needs beside AWS's own settings. A directory needs nothing. */
export type StoreOptions = Pick<S3Options, 'pathStyle' | 'allowHttp' | 'expectedBucketOwner'>;

/** Throws `no-region`, `plain-http` or `bad-option` for S3. Nothing is contacted yet. */
export async function resolveStore(
  url: ObjectUrl,
  options: StoreOptions,
): Promise<{ settings: StoreSettings; credentials: StoreCredentials }> {
  if ('directory' in url) return { settings: { directory: url.directory }, credentials: async () => undefined };
  const { resolveS3Settings } = await import('./aws-settings.ts');
  return resolveS3Settings({ bucket: url.bucket, ...options });
}

export interface StoreAids {
  /** Asked by S3 alone, and must give some then. */
  credentials: StoreCredentials;
  /** Hears of each request to S3 that is made again. */
  onRetry: (retry: Retry) => void;
  /** What objects' bytes keep to, where they are held back. */
  bandwidth: Bandwidth | undefined;
}

/** The store these settings are for. */
export async function openStore(settings: StoreSettings, aids: StoreAids): Promise<Store> {
  const store = await openUnlimited(settings, aids);
  return aids.bandwidth ? new LimitedStore(store, aids.bandwidth) : store;
}

async function openUnlimited(settings: StoreSettings, { credentials, onRetry }: StoreAids): Promise<Store> {
  if ('directory' in settings) return new DirectoryStore(settings);
  const { S3Store } = await import('./s3.ts');
  return new S3Store({ settings, credentials: credentials as CredentialProvider, onRetry });
}

/** What a thread needs of it: without the SDK, where the bucket lets it. */
export async function openParts(settings: StoreSettings, aids: StoreAids): Promise<PartStore> {
  const { credentials, onRetry, bandwidth } = aids;
  if ('directory' in settings) return openStore(settings, aids);
  const { openS3Parts } = await import('./s3-parts.ts');
  const parts = openS3Parts({ settings, credentials: credentials as CredentialProvider, onRetry });
  if (!parts) return openStore(settings, aids);
  return bandwidth ? new LimitedParts(parts, bandwidth) : parts;
}

/** A bucket as a whole, by what its objects are reached with. */
export async function openBucket({
  settings,
  credentials,
}: {
  settings: StoreSettings;
  credentials: StoreCredentials;
}): Promise<S3Bucket> {
  const { S3Bucket } = await import('./s3-bucket.ts');
  return new S3Bucket({ settings: settings as S3Settings, credentials: credentials as CredentialProvider });
}
