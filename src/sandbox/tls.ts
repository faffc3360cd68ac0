/** Certificates for a server that only this machine talks to: a new authority, and one certificate it signed. */
import { generate } from 'selfsigned';

export interface ServerCertificate {
  /** PEM of the authority, for clients to trust. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const LIFETIME_MS = 365 * 24 * 3_600_000;

export async function createCertificate(): Promise<ServerCertificate> {
  const common = {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + LIFETIME_MS),
  } as const;
  const ca = await generate([{ name: 'commonName', value: 'Sealift sandbox authority' }], {
    ...common,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const leaf = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...common,
    ca: { key: ca.private, cert: ca.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 2, value: '*.localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  });
  return { ca: ca.cert, cert: leaf.cert, key: leaf.private };
}
