/**
 * A raw key in a file of JSON, for its owner's eyes alone:
 *
 *     {"type":"raw-aes","namespace":…,"name":…,"key":"<base64>"}
 *     {"type":"raw-rsa","namespace":…,"name":…,"padding":"oaep-sha256","privateKey":"<PEM>"}     publicKey alone seals
 */
import { randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SealiftError } from '../errors.ts';
import { freshRandom } from '../random.ts';
import type { WrappingKeyring } from './keyring.ts';
import { badKeyFile as notAKeyFile, readPrivately } from './private-file.ts';
import { rawAesKeyring } from './raw-aes.ts';
import { type RsaPadding, rawRsaKeyring } from './raw-rsa.ts';

const NAMESPACE = 'sealift';
const KEY_SIZE = 32;
const HINT = 'Make one with: sealift keygen FILE.';

type KeyFile = Readonly<Record<string, unknown>>;

/** What a key file may hold. */
export interface KeyFileOptions {
  /** Take an RSA key for PKCS#1 v1.5, an unsafe padding of old messages. */
  allowPkcs1?: boolean | undefined;
}

/**
 * The keyring of a key file. Throws `bad-key-file`, and `bad-option` for RSA with PKCS#1 v1.5 where `allowPkcs1` does not
 * allow it.
 *
 * @example
 * import { createEngine, readKeyFile } from 'sealift';
 *
 * await using engine = createEngine({ keyring: await readKeyFile('/keys/backup.key') });
 * await engine.put({ source: '/data/db.tar', target: 's3://backups/2026/without-kms.tar' });
 */
export async function readKeyFile(path: string, options: KeyFileOptions = {}): Promise<WrappingKeyring> {
  const file = parse(path, (await readPrivately(path, HINT)).toString());
  switch (file.type) {
    case 'raw-aes':
      return readRawAes(path, file);
    case 'raw-rsa':
      return readRawRsa(path, file, options);
    default:
      throw badKeyFile(path, `its type is ${JSON.stringify(file.type)}, which is neither raw-aes nor raw-rsa`);
  }
}

function readRawAes(path: string, { namespace, name, key }: KeyFile): WrappingKeyring {
  if (!isText(namespace) || !isText(name) || !isText(key) || Buffer.from(key, 'base64').toString('base64') !== key) {
    throw badKeyFile(path, 'it needs namespace, name and key as texts, the key in base64');
  }
  const bytes = Buffer.from(key, 'base64');
  try {
    return rawAesKeyring({ namespace, name, key: bytes });
  } catch (error) {
    throw badKeyFile(path, (error as Error).message, error);
  } finally {
    bytes.fill(0);
  }
}

function readRawRsa(path: string, file: KeyFile, { allowPkcs1 = false }: KeyFileOptions): WrappingKeyring {
  const { namespace, name, padding, privateKey, publicKey } = file;
  if (
    !isText(namespace) ||
    !isText(name) ||
    !isText(padding) ||
    !isTextOrNone(privateKey) ||
    !isTextOrNone(publicKey)
  ) {
    throw badKeyFile(path, 'it needs namespace, name, padding, and privateKey or publicKey as texts');
  }
  try {
    return rawRsaKeyring({ namespace, name, padding: padding as RsaPadding, privateKey, publicKey, allowPkcs1 });
  } catch (error) {
    // A good file, for a padding that has to be allowed.
    if (padding === 'pkcs1' && !allowPkcs1) throw error;
    throw badKeyFile(path, (error as Error).message, error);
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || isText(value);
}

/**
 * Writes a new AES key, named at random, into a new file, and has it on disk before it resolves. Throws `target-exists`.
 *
 * @example
 * import { writeKeyFile } from 'sealift';
 *
 * const { namespace, name } = await writeKeyFile('/keys/new.key');
 * console.log(`${namespace} ${name}: keep a copy of the file in a safe place`);
 */
export async function writeKeyFile(path: string): Promise<{ namespace: string; name: string }> {
  const name = randomBytes(8).toString('hex');
  const key = freshRandom(KEY_SIZE);
  const file = { type: 'raw-aes', namespace: NAMESPACE, name, key: key.toString('base64') };
  key.fill(0);
  const handle = await open(path, 'wx', 0o600).catch((error) => Promise.reject(unwritten(path, error)));
  try {
    await handle.writeFile(`${JSON.stringify(file)}\n`);
    await handle.sync();
    await syncFolder(dirname(path));
  } catch (error) {
    // Half a key is none, and would be in the way of the next try.
    await rm(path, { force: true });
    throw unwritten(path, error as NodeJS.ErrnoException);
  } finally {
    await handle.close();
  }
  return { namespace: NAMESPACE, name };
}

/** Makes the file's name durable. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function unwritten(path: string, cause: NodeJS.ErrnoException): SealiftError {
  if (cause.code === 'EEXIST') {
    return new SealiftError('target-exists', `${path} exists already`, {
      hint: 'A key is never overwritten: what it sealed would be lost. Choose another name.',
    });
  }
  if (cause.code === 'ENOSPC' || cause.code === 'EDQUOT') {
    return new SealiftError('disk-full', `No space left for ${path}`, {
      hint: 'Free some space, and run it again.',
      cause,
    });
  }
  return new SealiftError('target-unwritable', `${path} cannot be written: ${cause.message}`, {
    hint: 'Check that its folder exists and that you may write there.',
    cause,
  });
}

function parse(path: string, text: string): KeyFile {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as KeyFile;
  } catch {
    // The parser's message quotes the text, which may be a key.
  }
  throw badKeyFile(path, 'it is not a JSON object');
}

function badKeyFile(path: string, reason: string, cause?: unknown): SealiftError {
  return notAKeyFile(path, reason, { hint: HINT, cause });
}
