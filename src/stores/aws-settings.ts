/**
 * What AWS's own settings resolve to: environment, profile, shared config and credential chain, found by the SDK as
 * every other AWS tool finds them. Sealift adds no setting of its own for what AWS has a name for.
 *
 * The result is in two halves because a thread cannot receive functions: `settings` is plain data that crosses to any
 * thread, `credentials` stays on the main thread, which answers the threads' requests for them.
 */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { S3Client } from '@aws-sdk/client-s3';
import { SealiftError } from '../errors.ts';
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
  // The SDK does not read AWS_DEFAULT_REGION, which the AWS CLI does.
  const given = options.region ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION);
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
    caBundle: env.AWS_CA_BUNDLE || undefined,
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
  if (endpoint === undefined) return;
  const url = URL.parse(endpoint);
  if (url?.protocol === 'https:') return;
  if (url?.protocol !== 'http:') {
    throw new SealiftError('bad-option', `The endpoint is not a URL: ${JSON.stringify(endpoint)}.`, {
      hint: 'Look at AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and endpoint_url in the profile. Example: https://s3.example.com.',
    });
  }
  if (allowHttp || isLoopback(url.hostname)) return;
  throw new SealiftError('plain-http', `The endpoint would be spoken to without encryption: ${url.origin}.`, {
    hint: 'Use its https:// address. Plain HTTP is for this machine only; --allow-http overrules that.',
  });
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Only literal addresses and `localhost`: any other name may resolve to anywhere. */
function isLoopback(hostname: string): boolean {
  const host = unbracket(hostname);
  if (host === 'localhost') return true;
  return isIP(host) !== 0 && loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}

/** Whether the bucket cannot stand in the host name: no name resolves there, or no certificate covers its dots. */
function needsPathStyle(bucket: string, endpoint: string | undefined): boolean {
  const host = unbracket(URL.parse(endpoint ?? '')?.hostname ?? '');
  return bucket.includes('.') || host === 'localhost' || isIP(host) !== 0;
}

/** `URL` writes an IPv6 host in brackets. */
function unbracket(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

async function resolveRegion(config: S3Client['config']): Promise<string> {
  try {
    return await config.region();
  } catch (thrown) {
    throw new SealiftError('no-region', `No AWS region is set: ${(thrown as Error).message}.`, {
      hint: "Set AWS_REGION, or region in the profile, to the bucket's region. Example: AWS_REGION=eu-central-1.",
      cause: thrown,
    });
  }
}
