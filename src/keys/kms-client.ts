/**
 * How a client of KMS is made: AWS's own settings, TLS or this very machine, one attempt a call, and a deadline on every
 * step of it.
 */
import { KMSClient } from '@aws-sdk/client-kms';
import { checkEndpoint, connections, type EndpointRules, regionFromEnvironment, resolveRegion } from '../network.ts';

/** A KMS call carries some hundred bytes and takes some milliseconds: what takes this long has stalled. */
const CONNECT_DEADLINE_MS = 5_000;
const STALL_DEADLINE_MS = 10_000;

/** Calls at once at most; further ones wait for a connection. 20,000 calls a second of 10 ms each take 200. */
const MAX_SOCKETS = 256;

/** Plain data keys come in KMS's answers: they cross no network in the clear, and no option allows it. */
const ENDPOINT_RULES: EndpointRules = {
  service: 'KMS',
  settings: 'AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL',
  allowHttp: undefined,
};

export interface KmsClientOptions {
  /** Default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's. */
  region?: string | undefined;
  /** Default: AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, the profile's endpoint_url, or AWS itself. */
  endpoint?: string | undefined;
  /** How long a call may go without a byte moving. Default 10 s. */
  stallMs?: number | undefined;
}

/** Throws `no-region`, `plain-http` or `bad-option`; opens no connection and asks for no credentials yet. */
export async function createKmsClient(options: KmsClientOptions = {}): Promise<KMSClient> {
  const region = options.region ?? regionFromEnvironment();
  const client = new KMSClient({
    ...(region ? { region } : {}),
    ...(options.endpoint ? { endpoint: options.endpoint } : {}),
    // The keyring retries by itself, so that every attempt takes a permit of the limiter.
    maxAttempts: 1,
    requestHandler: connections({
      connectMs: CONNECT_DEADLINE_MS,
      stallMs: options.stallMs ?? STALL_DEADLINE_MS,
      keepAlive: true,
      maxSockets: MAX_SOCKETS,
    }),
  });
  await resolveRegion(client.config);
  checkEndpoint(options.endpoint ?? (await client.config.serviceConfiguredEndpoint?.()), ENDPOINT_RULES);
  return client;
}
