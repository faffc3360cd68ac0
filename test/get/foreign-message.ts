/** Messages of any suite under a raw AES key, for an engine to open: tests of `get` and `inspect` share them. */
import { randomBytes } from 'node:crypto';
import type { Suite } from '../../src/formats/esdk/suites.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { wrapDataKey } from '../formats/message.ts';
import {
  ALL_SUITES,
  encodePairs,
  fieldsOf,
  type MessageFields,
  publicKeyPair,
  sized,
  writeMessage,
} from '../formats/writer.ts';

const wrappingKey = Buffer.alloc(32, 'wrapping key');
const names = { namespace: 'somebody', name: 'else' };

export const keyring = rawAesKeyring({ ...names, key: wrappingKey });

export interface ForeignRecipe {
  suite: Suite;
  plain: Buffer;
  /** 0 makes a single block. */
  frameSize: number;
  context?: Record<string, string>;
  /** Pairs of the context that the header does not hold. */
  unstored?: Record<string, string>;
  /** An empty frame follows full ones. */
  emptyFinalFrame?: boolean;
  /** Copies of the wrapped key. */
  keyCount?: number;
  change?: (fields: MessageFields) => void;
}

export function foreignMessage(recipe: ForeignRecipe): Buffer {
  const { suite, plain, frameSize, context = {}, unstored = {}, keyCount = 1, emptyFinalFrame, change } = recipe;
  const dataKey = Buffer.alloc(suite.keySize, 'data key');
  const encryptionContext = { ...context, ...unstored, ...publicKeyPair(suite) };
  const wrapped = wrapDataKey({ dataKey, wrappingKey, ...names, encryptionContext, nonce: randomBytes(12) });
  const key = Buffer.concat([Buffer.from(wrapped.providerId), wrapped.providerInfo, wrapped.ciphertext].map(sized));
  const encryptedDataKeys = { count: keyCount, bytes: Buffer.concat(Array(keyCount).fill(key)) };
  const fields = fieldsOf({
    suite,
    plain,
    frameSize,
    context,
    encryptedDataKeys,
    emptyFinalFrame: emptyFinalFrame ?? false,
  });
  fields.unstored = encodePairs(unstored);
  change?.(fields);
  return writeMessage(fields, dataKey);
}

/** The suite of an id as hexadecimal text, for example `0378`. */
export function suiteNamed(id: string): Suite {
  return ALL_SUITES.find((suite) => suite.id === Number.parseInt(id, 16))!;
}

/** Bytes as a pipe gives them. */
export async function* pipeOf(bytes: Buffer, chunkSize = 1000): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += chunkSize) yield bytes.subarray(start, start + chunkSize);
}
