/**
 * The checksums S3 keeps with an object ("Checking object integrity", userguide/checking-object-integrity.html): five
 * algorithms, and for multipart uploads two types: FULL_OBJECT, as if the object had been one piece, and COMPOSITE, the
 * checksum of the parts' checksums.
 */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { CRC32, CRC32C, CRC64NVME, combineCrcs, crc32cDigest, crc32Digest, crc64nvmeDigest } from './crc.ts';
import { S3Error } from './errors.ts';

export const ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

/** `value` is base64; that of a COMPOSITE checksum ends in `-` and the number of parts. */
export interface Checksum {
  readonly algorithm: Algorithm;
  readonly type: ChecksumType;
  readonly value: string;
}

export interface Digest {
  update(chunk: Uint8Array): void;
  finish(): Buffer;
}

export function createDigest(algorithm: Algorithm | 'MD5'): Digest {
  if (algorithm === 'CRC32') return crc32Digest();
  if (algorithm === 'CRC32C') return crc32cDigest();
  if (algorithm === 'CRC64NVME') return crc64nvmeDigest();
  const hash = createHash(algorithm);
  return { update: (chunk) => void hash.update(chunk), finish: () => hash.digest() };
}

const CRCS = { CRC32, CRC32C, CRC64NVME };
const SIZES: Record<Algorithm, number> = { CRC32: 4, CRC32C: 4, CRC64NVME: 8, SHA1: 20, SHA256: 32 };

/** Which types an algorithm knows for multipart uploads; the first is the default. */
const TYPES: Record<Algorithm, readonly ChecksumType[]> = {
  CRC32: ['COMPOSITE', 'FULL_OBJECT'],
  CRC32C: ['COMPOSITE', 'FULL_OBJECT'],
  CRC64NVME: ['FULL_OBJECT'],
  SHA1: ['COMPOSITE'],
  SHA256: ['COMPOSITE'],
};

/** The checksum of a whole upload, from those of its parts. */
export function wholeChecksum(
  algorithm: Algorithm,
  type: ChecksumType,
  parts: readonly { checksum: string; size: number }[],
): Checksum {
  if (type === 'COMPOSITE') {
    const digest = createDigest(algorithm);
    for (const part of parts) digest.update(Buffer.from(part.checksum, 'base64'));
    return { algorithm, type, value: `${digest.finish().toString('base64')}-${parts.length}` };
  }
  const crcs = parts.map((part) => ({ crc: Buffer.from(part.checksum, 'base64'), size: part.size }));
  return { algorithm, type, value: combineCrcs(CRCS[algorithm as keyof typeof CRCS], crcs).toString('base64') };
}

export function headerName(algorithm: Algorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** `ChecksumCRC32`, the element of XML answers. */
export function elementName(algorithm: Algorithm): string {
  return `Checksum${algorithm}`;
}

export function checksumHeaders(checksum: Checksum | undefined): Record<string, string> {
  if (checksum === undefined) return {};
  return { [headerName(checksum.algorithm)]: checksum.value, 'x-amz-checksum-type': checksum.type };
}

export function checksumElements(checksum: Checksum): Record<string, string> {
  return { [elementName(checksum.algorithm)]: checksum.value, ChecksumType: checksum.type };
}

/** What a request says about the checksum of its body: the value in a header, or the promise of one in a trailer. */
export interface DeclaredChecksum {
  readonly algorithm: Algorithm;
  /** Undefined where it comes in the trailer. */
  readonly value: string | undefined;
}

export function declaredChecksum(headers: IncomingHttpHeaders): DeclaredChecksum | undefined {
  const trailer = String(headers['x-amz-trailer'] ?? '').toLowerCase();
  const declared = ALGORITHMS.flatMap((algorithm): DeclaredChecksum[] => {
    const value = headers[headerName(algorithm)];
    if (typeof value === 'string') return [{ algorithm, value: validValue(algorithm, value) }];
    return trailer === headerName(algorithm) ? [{ algorithm, value: undefined }] : [];
  });
  // API_PutObject.html: a request carries one checksum at most.
  if (declared.length > 1) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  }
  // API_PutObject.html, x-amz-sdk-checksum-algorithm: "there must be a corresponding x-amz-checksum-algorithm or
  // x-amz-trailer header sent. Otherwise, Amazon S3 fails the request with the HTTP status code 400 Bad Request."
  const named = headers['x-amz-sdk-checksum-algorithm'];
  if (named !== undefined && declared.length === 0) {
    throw new S3Error(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    );
  }
  return declared[0];
}

/** A checksum header of Complete may end in `-N`. */
export function validValue(algorithm: Algorithm, value: string): string {
  const [encoded = ''] = value.split('-');
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.length !== SIZES[algorithm] || bytes.toString('base64') !== encoded) {
    throw new S3Error('InvalidRequest', `Value for ${headerName(algorithm)} header is invalid.`);
  }
  return value;
}

/**
 * Algorithm and type an upload is created with; undefined where it names no algorithm. The refusals are as captured
 * from S3 in floci-io/floci#3093.
 */
export function uploadChecksum(headers: IncomingHttpHeaders): { algorithm: Algorithm; type: ChecksumType } | undefined {
  const named = headers['x-amz-checksum-algorithm'];
  const wanted = headers['x-amz-checksum-type'];
  if (named === undefined) {
    if (wanted !== undefined) {
      throw new S3Error(
        'InvalidRequest',
        'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
      );
    }
    return undefined;
  }
  const algorithm = checksumAlgorithm(String(named));
  if (wanted !== undefined && wanted !== 'FULL_OBJECT' && wanted !== 'COMPOSITE') {
    throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.');
  }
  const type = wanted ?? TYPES[algorithm][0]!;
  if (!TYPES[algorithm].includes(type)) {
    throw new S3Error(
      'InvalidRequest',
      `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    );
  }
  return { algorithm, type };
}

export function checksumAlgorithm(name: string): Algorithm {
  const algorithm = ALGORITHMS.find((known) => known === name.toUpperCase());
  if (algorithm === undefined) {
    throw new S3Error(
      'InvalidRequest',
      `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${ALGORITHMS.join(', ')}]`,
    );
  }
  return algorithm;
}
