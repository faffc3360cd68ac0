/**
 * How a client of KMS is made: AWS's own settings, TLS or this very machine, one attempt a call, and a deadline on every
 * step of it.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { KMSClient } from '@aws-sdk/client-kms';
import {
  caBundleFromEnvironment,
  checkEndpoint,
  type EndpointRules,
  regionFromEnvironment,
  resolveRegion,
  tlsOptions,
} from '../network.ts';

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
    requestHandler: agents(options.stallMs ?? STALL_DEADLINE_MS),
  });
  await resolveRegion(client.config);
  checkEndpoint(options.endpoint ?? (await client.config.serviceConfiguredEndpoint?.()), ENDPOINT_RULES);
  return client;
}

function agents(stallMs: number) {
  return {
    connectionTimeout: CONNECT_DEADLINE_MS,
    // A connection on which no byte moves for so long is given up, before an answer or within it.
    socketTimeout: stallMs,
    httpAgent: new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
    httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: MAX_SOCKETS, ...tlsOptions(caBundleFromEnvironment()) }),
  };
}
