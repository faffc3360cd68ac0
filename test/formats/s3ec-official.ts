/** Objects that the official clients wrote: test/vectors/s3ec-official.json, made by test/interop/s3ec/make-fixtures.ts. */
import { readFileSync } from 'node:fs';
import type { Fields } from '../../src/formats/s3ec/header.ts';

export interface OfficialObject {
  writer: string;
  format: 'v2' | 'v3';
  wrapping: 'kms' | 'aes' | 'rsa';
  shape: 'single' | 'multipart' | 'instruction file';
  context: Record<string, string>;
  /** Of the plain bytes, in hexadecimal. */
  sha256: string;
  metadata: Fields;
  body: Buffer;
  /** What the instruction file holds, where there is one. */
  instructions: Buffer | undefined;
}

interface Stored {
  suffix: '' | '.instruction';
  metadata: Fields;
  body: string;
}

const { keys, kms, objects } = JSON.parse(
  readFileSync(new URL('../vectors/s3ec-official.json', import.meta.url), 'utf8'),
);

/** Base64: an AES key, and an RSA key pair as DER. */
export const OFFICIAL_KEYS: { kms: string; aes: string; rsaPrivate: string; rsaPublic: string } = keys;

/** What the sandbox's KMS keeps: with it, it opens what was wrapped then. */
export const OFFICIAL_KMS: unknown = kms;

export const OFFICIAL_OBJECTS: OfficialObject[] = objects.map(
  ({ stored, ...rest }: OfficialObject & { stored: Stored[] }) => {
    const object = stored.find(({ suffix }) => suffix === '')!;
    const file = stored.find(({ suffix }) => suffix !== '');
    return {
      ...rest,
      metadata: object.metadata,
      body: Buffer.from(object.body, 'base64'),
      instructions: file && Buffer.from(file.body, 'base64'),
    };
  },
);
