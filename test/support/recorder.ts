/**
 * Preloaded (`--import`) into every process and thread of a test, this patches `node:crypto` and notes each AES-GCM
 * call that seals: which key, which nonce, which additional data, which plain bytes. A note is on its way to the disk
 * before the call's result can be used, so `kill -9` loses none that mattered. `checkRecords` reads them all.
 */
import crypto, { type CipherGCM, type CipherKey, createHash, KeyObject } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { threadId } from 'node:worker_threads';

const folder = process.env.SEALIFT_TEST_RECORDS;
if (folder) {
  const file = openSync(`${folder}/${process.pid}-${threadId}.jsonl`, 'a');
  const original = crypto.createCipheriv;

  // Typed loosely: the original's overloads are many, and each is passed on as it came.
  // biome-ignore lint/suspicious/noExplicitAny: see above.
  const recording = (algorithm: string, key: CipherKey, nonce: any, options: any): CipherGCM => {
    const cipher = original(algorithm as 'aes-256-gcm', key, nonce, options) as CipherGCM;
    if (!algorithm.endsWith('-gcm')) return cipher;
    const additional = createHash('sha256');
    const plain = createHash('sha256');
    let size = 0;
    // biome-ignore lint/suspicious/noExplicitAny: see above.
    const { setAAD, update, final } = cipher as any;
    Object.assign(cipher, {
      setAAD(data: Uint8Array, ...rest: unknown[]) {
        additional.update(data);
        return setAAD.call(cipher, data, ...rest);
      },
      update(data: Uint8Array, ...rest: unknown[]) {
        plain.update(data);
        size += data.length;
        return update.call(cipher, data, ...rest);
      },
      final(...rest: unknown[]) {
        const note = {
          key: createHash('sha256').update(bytesOf(key)).digest('hex'),
          nonce: Buffer.from(nonce).toString('hex'),
          additional: additional.digest('hex'),
          plain: plain.digest('hex'),
          size,
        };
        writeSync(file, `${JSON.stringify(note)}\n`);
        return final.call(cipher, ...rest);
      },
    });
    return cipher;
  };
  crypto.createCipheriv = recording as unknown as typeof original;
  syncBuiltinESMExports();
}

function bytesOf(key: CipherKey): Uint8Array {
  return key instanceof KeyObject ? key.export() : Buffer.from(key as Buffer);
}
