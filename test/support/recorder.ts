/**
 * Preloaded (`--import`) into every process and thread of a test, this patches `node:crypto` and notes each AES-GCM
 * call that seals: which key, from which counter block on, which additional data, which plain bytes. A note is on its way
 * to the disk before the call's result can be used, so `kill -9` loses none that mattered. `checkRecords` reads them all.
 */
import crypto, { type CipherGCM, type CipherKey, createHash, KeyObject } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { threadId } from 'node:worker_threads';

const HASHING_NONCE = Buffer.from('only hashing');

const folder = process.env.SEALIFT_TEST_RECORDS;
if (folder) {
  const file = openSync(`${folder}/${process.pid}-${threadId}.jsonl`, 'a');
  const original = crypto.createCipheriv;

  // Typed loosely: the original's overloads are many, and each is passed on as it came.
  // biome-ignore lint/suspicious/noExplicitAny: see above.
  const recording = (algorithm: string, key: CipherKey, nonce: any, options: any): CipherGCM => {
    const cipher = original(algorithm as 'aes-256-gcm', key, nonce, options) as CipherGCM;
    if (!algorithm.endsWith('-gcm')) return cipher;
    // Calls that only hash what is opened (src/formats/gcm/open-part.ts) give nothing away under their one nonce.
    const hashes = Buffer.from(nonce).equals(HASHING_NONCE);
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
          counter: counterOf(algorithm, key, Buffer.from(nonce)).toString('hex'),
          additional: additional.digest('hex'),
          plain: plain.digest('hex'),
          size,
        };
        if (!hashes || size > 0) writeSync(file, `${JSON.stringify(note)}\n`);
        return final.call(cipher, ...rest);
      },
    });
    return cipher;
  };
  /** What GCM makes of a nonce: the block that masks the tag; data is sealed by the counters behind it. */
  const counterOf = (algorithm: string, key: CipherKey, nonce: Buffer): Buffer => {
    if (nonce.length === 12) return Buffer.concat([nonce, Buffer.from([0, 0, 0, 1])]);
    // The tag of nothing at all is the mask alone.
    const cipher = original(algorithm as 'aes-256-gcm', key, nonce, { authTagLength: 16 });
    cipher.final();
    const decipher = crypto.createDecipheriv(algorithm.replace('-gcm', '-ecb'), key, null).setAutoPadding(false);
    return decipher.update(cipher.getAuthTag());
  };

  crypto.createCipheriv = recording as unknown as typeof original;
  syncBuiltinESMExports();
}

function bytesOf(key: CipherKey): Uint8Array {
  return key instanceof KeyObject ? key.export() : Buffer.from(key as Buffer);
}
