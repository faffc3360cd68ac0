/** What the matrix is made of: suites, keyrings, frame sizes and lengths, and the words in which peers are asked. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { KiB, MiB } from '../../../src/units.ts';
import { ALL_SUITES } from '../../formats/writer.ts';

/** A wrapping key as all peers understand it: the fields of a raw key file, or a KMS key and where its KMS is. */
export type Key =
  | { type: 'raw-aes'; namespace: string; name: string; key: string }
  | { type: 'raw-rsa'; namespace: string; name: string; padding: RsaPadding; privateKey: string; publicKey: string }
  | { type: 'kms'; arn: string; endpoint: string };

export type RsaPadding = 'oaep-sha1' | 'oaep-sha256' | 'oaep-sha384' | 'oaep-sha512';
export type Keys = Readonly<Record<string, Key>>;

export interface KeyringRow {
  name: string;
  /** Names of keys: the first makes the data key, all wrap it. */
  writes: readonly string[];
  /** With these it must open. */
  reads: readonly string[];
  /** Frame sizes to try; all where absent. */
  frameSizes?: readonly number[];
}

/** One message to be written and read. */
export interface Cell {
  suite: number;
  keyring: KeyringRow;
  /** 0 is a single block without frames. */
  frameSize: number;
  length: number;
}

/** What a peer is asked to do. Files are paths. */
export interface Job {
  do: 'write' | 'read';
  suite: number;
  keyring: readonly string[];
  frameSize: number;
  context: Readonly<Record<string, string>>;
  plain: string;
  sealed: string;
}

export interface Answer {
  /** Null where all went well. */
  error: string | null;
  /** Of the plain bytes, as 64 hexadecimal digits, where the job was to read. */
  sha256?: string | null;
}

export interface Peer {
  name: string;
  /** The cells it can write; it can read what its keys can open. */
  writes(cell: Cell): boolean;
  reads(cell: Cell): boolean;
  run(jobs: readonly Job[]): Promise<Answer[]>;
}

export const SUITES = ALL_SUITES.map(({ id }) => id);
/** Suites from this one on commit to their key. */
export const COMMITTING = 0x0478;
export const FRAME_SIZES = [1, 512, 4 * KiB, 256 * KiB, MiB];
const ONE_FRAME_SIZE = [512];

export const KEYRINGS: readonly KeyringRow[] = [
  { name: 'raw AES', writes: ['aes'], reads: ['aes'] },
  { name: 'raw RSA', writes: ['rsa'], reads: ['rsa'] },
  { name: 'KMS sandbox', writes: ['sandbox'], reads: ['sandbox'] },
  { name: 'KMS moto', writes: ['moto'], reads: ['moto'] },
  { name: 'KMS, AES, RSA', writes: ['sandbox', 'aes', 'rsa'], reads: ['rsa'] },
  ...['aes-128', 'aes-192', 'oaep-sha1', 'oaep-sha384', 'oaep-sha512'].map((key) => ({
    name: key,
    writes: [key],
    reads: [key],
    frameSizes: ONE_FRAME_SIZE,
  })),
];

/** The lengths around a frame's edges; of a message without frames, some. */
export function lengthsOf(frameSize: number): number[] {
  if (frameSize === 0) return [0, 1, 1000];
  return [...new Set([0, 1, frameSize - 1, frameSize, frameSize + 1, 3 * frameSize])];
}

export function cellsOf(suites: readonly number[], keyrings: readonly KeyringRow[]): Cell[] {
  return keyrings.flatMap((keyring) =>
    suites.flatMap((suite) =>
      [0, ...(keyring.frameSizes ?? FRAME_SIZES)].flatMap((frameSize) =>
        lengthsOf(frameSize).map((length) => ({ suite, keyring, frameSize, length })),
      ),
    ),
  );
}

export function rawKeys(): Record<string, Key> {
  const namespace = 'interop';
  const aes = (name: string, size: number): Key => {
    return { type: 'raw-aes', namespace, name, key: randomBytes(size).toString('base64') };
  };
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsa = (name: string, padding: RsaPadding): Key => ({
    type: 'raw-rsa',
    namespace,
    name,
    padding,
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicKey: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  });
  return {
    aes: aes('aes é', 32),
    'aes-128': aes('small', 16),
    'aes-192': aes('middle', 24),
    rsa: rsa('rsa', 'oaep-sha256'),
    'oaep-sha1': rsa('old', 'oaep-sha1'),
    'oaep-sha384': rsa('large', 'oaep-sha384'),
    'oaep-sha512': rsa('larger', 'oaep-sha512'),
  };
}
