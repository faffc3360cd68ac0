/**
 * How a client of KMS is made: AWS's own settings, TLS or this very machine, one attempt a call, and a deadline on every
 * step of it.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { getCACertificates } from 'node:tls';
import { KMSClient } from '@aws-sdk/client-kms';
import { SealiftError } from '../errors.ts';

/** A KMS call carries some hundred bytes and takes some milliseconds: what takes this long has stalled. */
const CONNECT_DEADLINE_MS = 5_000;
const STALL_DEADLINE_MS = 10_000;

/** Calls at once at most; further ones wait for a connection. 20,000 calls a second of 10 ms each take 200. */
const MAX_SOCKETS = 256;

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
  const { env } = process;
  // The SDK does not read AWS_DEFAULT_REGION, which the AWS CLI does.
  const region = options.region ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION);
  const client = new KMSClient({
    ...(region ? { region } : {}),
    ...(options.endpoint ? { endpoint: options.endpoint } : {}),
    // The keyring retries by itself, so that every attempt takes a permit of the limiter.
    maxAttempts: 1,
    requestHandler: agents(options.stallMs ?? STALL_DEADLINE_MS),
  });
  await requireRegion(client);
  refusePlainHttp(options.endpoint ?? (await client.config.serviceConfiguredEndpoint?.()));
  return client;
}

function agents(stallMs: number) {
  return {
    connectionTimeout: CONNECT_DEADLINE_MS,
    // A connection on which no byte moves for so long is given up, before an answer or within it.
    socketTimeout: stallMs,
    httpAgent: new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS }),
    httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: MAX_SOCKETS, ...trustedAuthorities() }),
  };
}

/** AWS_CA_BUNDLE, which the SDK for JavaScript does not read. */
function trustedAuthorities(): { ca?: string[] } {
  const caBundle = process.env.AWS_CA_BUNDLE;
  if (!caBundle) return {};
  try {
    const bundle = readFileSync(caBundle, 'utf8');
    // TLS takes nonsense without a word; this reads the first certificate, and throws.
    new X509Certificate(bundle);
    return { ca: [...getCACertificates('default'), bundle] };
  } catch (error) {
    throw new SealiftError('bad-option', `AWS_CA_BUNDLE cannot be used: ${(error as Error).message}.`, {
      hint: 'It must name a readable file of certificates in PEM form.',
      cause: error,
    });
  }
}

async function requireRegion(client: KMSClient): Promise<void> {
  try {
    await client.config.region();
  } catch (error) {
    throw new SealiftError('no-region', `No AWS region is set: ${(error as Error).message}.`, {
      hint: "Set AWS_REGION, or region in the profile, to the KMS key's Region. Example: AWS_REGION=eu-central-1.",
      cause: error,
    });
  }
}

/** Plain data keys come in KMS's answers: they cross no network in the clear, and no option allows it. */
function refusePlainHttp(endpoint: string | undefined): void {
  if (endpoint === undefined) return;
  const url = URL.parse(endpoint);
  if (url?.protocol === 'https:') return;
  if (url?.protocol !== 'http:') {
    throw new SealiftError('bad-option', `The KMS endpoint is not a URL: ${JSON.stringify(endpoint)}.`, {
      hint: 'Look at AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL and endpoint_url in the profile.',
    });
  }
  if (isLiteralLoopback(url.hostname)) return;
  throw new SealiftError('plain-http', `KMS would be spoken to without encryption: ${url.origin}.`, {
    hint: 'Use its https:// address. Plain HTTP to KMS is for 127.0.0.1 and [::1] only, and nothing overrules that.',
  });
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** An address, not a name: a name may resolve to anywhere, `localhost` included. */
function isLiteralLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) !== 0 && loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}
