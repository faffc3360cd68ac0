/**
 * Preloaded (`--import`) into every process and thread of a test, this patches `node:crypto` and notes each AES-GCM
 * call that seals: which key, which nonce, which additional data, which plain bytes. A note is on its way to the disk
 * before the call's result can be used, so `kill -9` loses none that mattered. `checkRecords` reads them all.
 */
import crypto, { type CipherGCM, type CipherKey, createHash, KeyObject } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { threadId } from 'node:worker_threads';

const folder = process.env['SEALIFT_TEST_RECORDS'];
if (folder) {
  const file = openSync(`${folder}/${process.pid}-${threadId}.jsonl`, 'a');
  const original = crypto.createCipheriv;

  const recording = (algorithm: string, key: CipherKey, nonce: crypto.BinaryLike, options: object) => {
    const cipher = original(algorithm as 'aes-256-gcm', key, nonce, options) as CipherGCM;
    if (!algorithm.endsWith('-gcm')) return cipher;
    const additional = createHash('sha256');
    const plain = createHash('sha256');
    let size = 0;
    const { setAAD, update, final } = cipher;
    cipher.setAAD = (data, ...rest) => {
      additional.update(data as Uint8Array);
      return setAAD.call(cipher, data, ...rest);
    };
    cipher.update = ((data: Uint8Array, ...rest: []) => {
      plain.update(data);
      size += data.length;
      return update.call(cipher, data as never, ...rest);
    }) as typeof update;
    cipher.final = ((...rest: []) => {
      const note = {
        key: createHash('sha256').update(bytesOf(key)).digest('hex'),
        nonce: Buffer.from(nonce as Uint8Array).toString('hex'),
        additional: additional.digest('hex'),
        plain: plain.digest('hex'),
        size,
      };
      writeSync(file, `${JSON.stringify(note)}\n`);
      return final.call(cipher, ...rest);
    }) as typeof final;
    return cipher;
  };
  crypto.createCipheriv = recording as unknown as typeof original;
  syncBuiltinESMExports();
}

function bytesOf(key: CipherKey): Uint8Array {
  return key instanceof KeyObject ? key.export() : Buffer.from(key as Uint8Array);
}
