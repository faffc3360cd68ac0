/**
 * Signatures of requests that are made without the SDK: Signature Version 4 in a header (IAM User Guide, "Create a signed AWS
 * API request"). The SDK's signer does more than that, and takes as long over a small object as sending it does: here the key
 * of a day is derived once, and a request costs one hash and one HMAC.
 */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import type { CredentialProvider } from './aws-settings.ts';

export interface RequestToSign {
  method: string;
  /** Encoded, as it is sent. */
  path: string;
  /** Names and values, likewise. */
  query: readonly (readonly [name: string, value: string])[];
  /** By names in lower case, with the host and the payload's hash among them. */
  headers: Readonly<Record<string, string>>;
}

type Credentials = Awaited<ReturnType<CredentialProvider>>;

const ALGORITHM = 'AWS4-HMAC-SHA256';
/** What may be another on its way, or says who asks and no more. */
const UNSIGNED: ReadonlySet<string> = new Set(['cache-control', 'user-agent']);

export class Signer {
  readonly #region: string;
  readonly #service: string;
  readonly #credentials: CredentialProvider;
  #key: { day: string; secret: string; value: KeyObject } | undefined;

  constructor({ region, service, credentials }: { region: string; service: string; credentials: CredentialProvider }) {
    this.#region = region;
    this.#service = service;
    this.#credentials = credentials;
  }

  /** The request's headers with those that sign it. Rejects as the provider of credentials does. */
  async sign(request: RequestToSign, atMs: number): Promise<Record<string, string>> {
    const { accessKeyId, secretAccessKey, sessionToken } = await this.#credentials();
    // 2026-11-24T18:55:38.000Z without its punctuation.
    const time = `${new Date(atMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
    const day = time.slice(0, 8);
    const scope = `${day}/${this.#region}/${this.#service}/aws4_request`;
    const headers: Record<string, string> = { ...request.headers, 'x-amz-date': time };
    if (sessionToken !== undefined) headers['x-amz-security-token'] = sessionToken;
    const names = Object.keys(headers).filter((name) => !UNSIGNED.has(name));
    const signed = names.sort().join(';');
    const canonical = hash('sha256', canonicalRequest({ ...request, headers }, names, signed));
    const signature = createHmac('sha256', this.#keyOf(day, secretAccessKey))
      .update(`${ALGORITHM}\n${time}\n${scope}\n${canonical}`)
      .digest('hex');
    headers.authorization = `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`;
    return headers;
  }

  /** The same for a whole day, as long as the credentials are. */
  #keyOf(day: string, secret: Credentials['secretAccessKey']): KeyObject {
    if (this.#key?.day !== day || this.#key.secret !== secret) {
      const steps = [day, this.#region, this.#service, 'aws4_request'];
      const value = steps.reduce(derive, createSecretKey(`AWS4${secret}`, 'utf8'));
      this.#key = { day, secret, value };
    }
    return this.#key.value;
  }
}

/** As a KeyObject: of bytes Node makes one for every HMAC, which takes longer than the HMAC. */
function derive(key: KeyObject, step: string): KeyObject {
  return createSecretKey(createHmac('sha256', key).update(step).digest());
}

function canonicalRequest(
  { method, path, query, headers }: RequestToSign,
  names: readonly string[],
  signed: string,
): string {
  const byName = query.toSorted(([one], [other]) => (one < other ? -1 : 1));
  const pairs = byName.map((pair) => pair.join('=')).join('&');
  const lines = names.map((name) => `${name}:${headers[name]!.trim().replace(/ +/g, ' ')}\n`).join('');
  return `${method}\n${path}\n${pairs}\n${lines}\n${signed}\n${headers['x-amz-content-sha256']}`;
}
