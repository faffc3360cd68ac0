/**
 * What every connection of ours obeys, whichever service it is to: no plain HTTP across a network, and TLS 1.2 at least
 * that trusts the user's own authorities too.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AgentOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext, type SecureVersion } from 'node:tls';
import { SealiftError } from './errors.ts';

/**
 * Node's HTTP. Imported by its name it comes with Node's WebSocket, and so with all of undici: 20 ms and 5 MiB, in each
 * thread again.
 */
export const http = process.getBuiltinModule('node:http');

/** What a service's endpoint may be, and how its user set it. */
export interface EndpointRules {
  /** `S3`, `KMS` or `Service Quotas`. */
  service: string;
  /** The settings an endpoint comes from, for the user who set a wrong one. */
  settings: string;
  /** How plain HTTP to another machine is allowed; undefined where nothing allows it. */
  allowHttp: { allowed: boolean; flag: string } | undefined;
}

/** Throws `plain-http` where requests would cross a network unencrypted, `bad-option` where the endpoint is no URL. */
export function checkEndpoint(endpoint: string | undefined, { service, settings, allowHttp }: EndpointRules): void {
  if (endpoint === undefined) return;
  const url = URL.parse(endpoint);
  if (url?.protocol === 'https:') return;
  if (url?.protocol !== 'http:') {
    throw new SealiftError('bad-option', `The ${service} endpoint is not a URL: ${JSON.stringify(endpoint)}`, {
      hint: `Look at ${settings} and endpoint_url in the profile. Example: https://s3.example.com.`,
    });
  }
  if (allowHttp?.allowed || isLoopback(url.hostname)) return;
  const exception = allowHttp ? `${allowHttp.flag} overrules that` : 'nothing overrules that';
  throw new SealiftError('plain-http', `${service} would be spoken to without encryption: ${url.origin}`, {
    hint: `Use its https:// address. Plain HTTP is for 127.0.0.1 and [::1] only; ${exception}.`,
  });
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** An address, not a name: a name may resolve to anywhere, `localhost` included. */
export function isLoopback(hostname: string): boolean {
  const host = unbracket(hostname);
  return isIP(host) !== 0 && loopback.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}

/** `URL` writes an IPv6 host in brackets. */
export function unbracket(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

/**
 * The default certificates and those of a PEM file: AWS_CA_BUNDLE, which the SDK for JavaScript does not read. Throws
 * `bad-option` where the file is not what it should be.
 */
function trustedCertificates(caBundle: string): string[] {
  try {
    const bundle = readFileSync(caBundle, 'utf8');
    // TLS takes nonsense without a word; this reads the first certificate, and throws.
    new X509Certificate(bundle);
    return [...getCACertificates('default'), bundle];
  } catch (error) {
    throw new SealiftError('bad-option', `AWS_CA_BUNDLE cannot be used: ${(error as Error).message}`, {
      hint: 'It must name a readable file of certificates in PEM form.',
      cause: error,
    });
  }
}

/** Node's own default, which a flag of it, such as one in NODE_OPTIONS, can lower. */
const MIN_VERSION = 'TLSv1.2';

/** AWS_CA_BUNDLE, where it is set. */
export function caBundleFromEnvironment(): string | undefined {
  return process.env.AWS_CA_BUNDLE || undefined;
}

/**
 * What every HTTPS agent is given. With a bundle that is a context made once: given as `ca`, all certificates would be
 * parsed for each connection and be part of its name. NODE_EXTRA_CA_CERTS is among the default certificates.
 */
export function tlsOptions(
  caBundle: string | undefined,
): { secureContext: SecureContext } | { minVersion: SecureVersion } {
  if (caBundle === undefined) return { minVersion: MIN_VERSION };
  return { secureContext: createSecureContext({ ca: trustedCertificates(caBundle), minVersion: MIN_VERSION }) };
}

/** How a service is reached that is asked little at a time, with a deadline on every step, as the SDK's client takes it. */
export function connections({
  connectMs,
  stallMs,
  ...options
}: {
  connectMs: number;
  /** A connection on which no byte moves for so long is given up, before an answer or within it. */
  stallMs: number;
} & AgentOptions) {
  return {
    connectionTimeout: connectMs,
    socketTimeout: stallMs,
    httpAgent: new http.Agent(options),
    httpsAgent: new HttpsAgent({ ...options, ...tlsOptions(caBundleFromEnvironment()) }),
  };
}

/** A request failed and is being made again. */
export interface Retry {
  /** The service's name of the call, for example `UploadPart`. */
  call: string;
  reason: string;
  /** The service asked for fewer requests. */
  throttled: boolean;
}

interface SdkFields {
  code?: unknown;
  $metadata?: { attempts?: unknown };
}

/**
 * An error of the SDK as it may be kept for a cause, and printed: its names, its words, where it came from, how often it
 * was tried, and so for what caused it. The rest may lead to its request, whose headers have the signature, a session's
 * token, a customer's key (SSE-C), or to what a provider of credentials was told. What is no error is put into words.
 */
export function bareError(thrown: unknown): Error {
  if (!(thrown instanceof Error)) return new Error(String(thrown));
  const { name, message, stack, code, cause, $metadata }: Error & SdkFields = thrown;
  const attempts = $metadata?.attempts;
  const bare = new Error(message, cause instanceof Error ? { cause: bareError(cause) } : {});
  return Object.assign(
    bare,
    { name, stack },
    typeof code === 'string' ? { code } : {},
    typeof attempts === 'number' ? { attempts } : {},
  );
}

/** Certificates that were not accepted. Nothing was sent. */
export function isCertificateCode(code: unknown): boolean {
  return typeof code === 'string' && /CERT|LEAF_SIGNATURE/.test(code);
}

/** The other side speaks no TLS that we do: an EPROTO, of which only OpenSSL's words say more. */
export function isOldTls({ message }: Error): boolean {
  return /alert protocol version|unsupported protocol/.test(message);
}

/**
 * Codes of the operating system and of name lookup, such as ECONNRESET, of TLS, and of answers that are cut off or are
 * no HTTP. Node's others begin with ERR_ and tell of a request that could not even be made.
 */
export function isNetworkCode(code: unknown): boolean {
  if (typeof code !== 'string' || isCertificateCode(code)) return false;
  return /^(E(?!RR_)|HPE_|ERR_SSL_|ERR_TLS_|ERR_STREAM_PREMATURE_CLOSE)/.test(code);
}

/** The region AWS's variables name. The SDK does not read AWS_DEFAULT_REGION, which the AWS CLI does. */
export function regionFromEnvironment(): string | undefined {
  return process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION || undefined;
}

/** Resolves to the client's region. Throws `no-region` where nothing names one. */
export async function resolveRegion(config: { region: () => Promise<string> }): Promise<string> {
  try {
    return await config.region();
  } catch (error) {
    throw new SealiftError('no-region', `No AWS region is set: ${(error as Error).message}`, {
      hint: 'Set AWS_REGION, or region in the profile. Example: AWS_REGION=eu-central-1.',
      cause: error,
    });
  }
}
