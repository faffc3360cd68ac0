/**
 * What AWS's own settings resolve to: environment, profile, shared config and credential chain, found by the SDK as
 * every other AWS tool finds them. Sealift adds no setting of its own for what AWS has a name for.
 *
 * The result is in two halves because a thread cannot receive functions: `settings` is plain data that crosses to any
 * thread, `credentials` stays on the main thread, which answers the threads' requests for them.
 */
import { isIP } from 'node:net';
import { S3Client } from '@aws-sdk/client-s3';
import { caBundleFromEnvironment, checkEndpoint, regionFromEnvironment, resolveRegion, unbracket } from '../network.ts';
import { credentialsError } from './s3-errors.ts';

/** Everything a thread needs to reach one bucket, except credentials. Structured-cloneable. */
export interface S3Settings {
  bucket: string;
  region: string;
  /** Undefined for AWS itself. */
  endpoint?: string | undefined;
  forcePathStyle: boolean;
  /** An account id. S3 refuses every request if the bucket belongs to another account. */
  expectedBucketOwner?: string | undefined;
  allowHttp: boolean;
  /** Path of a PEM file whose certificates are trusted beside the default ones. */
  caBundle?: string | undefined;
  /** A connection on which no byte moves for so long, while one is waited for, is given up. */
  stallMs: number;
  /** Connections a store keeps at most; requests beyond wait for one. */
  maxSockets: number;
  /** Times a request is tried before its error is the caller's. */
  maxAttempts: number;
}

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Resolves to valid credentials, fetched again when they are about to expire. */
export type CredentialProvider = () => Promise<Credentials>;

export interface S3Options {
  bucket: string;
  /** Path style even where the endpoint would allow the bucket in the host name. */
  pathStyle?: boolean | undefined;
  allowHttp?: boolean | undefined;
  expectedBucketOwner?: string | undefined;
  region?: string | undefined;
  endpoint?: string | undefined;
}

const DEFAULT_STALL_MS = 30_000;

/** The SDK's own default; a thread's lanes stay far below it. */
const DEFAULT_MAX_SOCKETS = 50;

/**
 * The SDK waits a random part of 50 ms, doubled at each attempt, after a broken connection or a 5xx, and of 1 s after
 * SlowDown. Its default of three attempts gives up on a restarting load balancer within 200 ms; eight ride out some
 * 3 s of broken connections and 35 s of throttling on average, and a job that still fails can be resumed.
 */
const DEFAULT_MAX_ATTEMPTS = 8;

/** Throws `no-region`, `plain-http` or `bad-option`. Missing credentials show when they are asked for. */
export async function resolveS3Settings(
  options: S3Options,
): Promise<{ settings: S3Settings; credentials: CredentialProvider }> {
  const { env } = process;
  const given = options.region ?? regionFromEnvironment();
  const { config } = new S3Client(given ? { region: given } : {});
  // AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile's endpoint_url, in AWS's order.
  const endpoint = options.endpoint ?? (await config.serviceConfiguredEndpoint?.());
  const settings: S3Settings = {
    bucket: options.bucket,
    region: await resolveRegion(config),
    endpoint,
    forcePathStyle: options.pathStyle || needsPathStyle(options.bucket, endpoint),
    expectedBucketOwner: options.expectedBucketOwner,
    allowHttp: options.allowHttp ?? false,
    caBundle: caBundleFromEnvironment(),
    stallMs: DEFAULT_STALL_MS,
    maxSockets: DEFAULT_MAX_SOCKETS,
    maxAttempts: Number(env.AWS_MAX_ATTEMPTS) || DEFAULT_MAX_ATTEMPTS,
  };
  refusePlainHttp(settings);
  return {
    settings,
    credentials: () => config.credentials().catch((thrown) => Promise.reject(credentialsError(thrown))),
  };
}

/** Throws `plain-http` where requests would cross a network unencrypted, `bad-option` where the endpoint is no URL. */
export function refusePlainHttp({ endpoint, allowHttp }: Pick<S3Settings, 'endpoint' | 'allowHttp'>): void {
  checkEndpoint(endpoint, {
    service: 'S3',
    settings: 'AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL',
    allowHttp: { allowed: allowHttp, flag: '--allow-http' },
  });
}

/** Whether the bucket cannot stand in the host name: no name resolves there, or no certificate covers its dots. */
function needsPathStyle(bucket: string, endpoint: string | undefined): boolean {
  const host = unbracket(URL.parse(endpoint ?? '')?.hostname ?? '');
  return bucket.includes('.') || host === 'localhost' || isIP(host) !== 0;
}
