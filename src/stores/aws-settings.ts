/**
 * What AWS's own settings resolve to: environment, profile, shared config and credential chain, found by the SDK as
 * every other AWS tool finds them. Sealift adds no setting of its own for what AWS has a name for.
 *
 * The result is in two halves because a thread cannot receive functions: `settings` is plain data that crosses to any
 * thread, `credentials` stays on the main thread, which answers the threads' requests for them.
 */
import { isIP } from 'node:net';
import { S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { getEndpointFromInstructions } from '@smithy/core/endpoints';
import { caBundleFromEnvironment, regionFromEnvironment, resolveRegion, unbracket } from '../network.ts';
import { refusePlainHttp } from './s3-agent.ts';
import { credentialsError } from './s3-errors.ts';

/** Where a bucket is asked for its objects' bytes, and what such a request is signed for. */
export interface DirectEndpoint {
  /** The bucket's own, or what ends with its name. */
  url: string;
  region: string;
  service: string;
}

/** Everything a thread needs to reach one bucket, except credentials. Structured-cloneable. */
export interface S3Settings {
  bucket: string;
  region: string;
  /** Undefined for AWS itself. */
  endpoint?: string | undefined;
  forcePathStyle: boolean;
  /** Undefined of a bucket that wants more than a signature: a directory bucket of S3 Express wants a session. */
  direct?: DirectEndpoint | undefined;
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
  settings.direct = await directEndpoint(settings);
  return {
    settings,
    credentials: () => config.credentials().catch((thrown) => Promise.reject(credentialsError(thrown))),
  };
}

/** As the SDK resolves it, with all it knows of partitions, FIPS and dual stack. */
async function directEndpoint({
  bucket,
  region,
  endpoint,
  forcePathStyle,
}: S3Settings): Promise<DirectEndpoint | undefined> {
  const { config } = new S3Client({ region, forcePathStyle, ...(endpoint === undefined ? {} : { endpoint }) });
  const { url, properties } = await getEndpointFromInstructions({ Bucket: bucket }, UploadPartCommand, { ...config });
  const [scheme] = (properties?.authSchemes ?? []) as { name: string; signingName: string; signingRegion: string }[];
  if (scheme?.name !== 'sigv4') return undefined;
  return { url: url.href, region: scheme.signingRegion, service: scheme.signingName };
}

/** Whether the bucket cannot stand in the host name: no name resolves there, or no certificate covers its dots. */
function needsPathStyle(bucket: string, endpoint: string | undefined): boolean {
  const host = unbracket(URL.parse(endpoint ?? '')?.hostname ?? '');
  return bucket.includes('.') || host === 'localhost' || isIP(host) !== 0;
}
