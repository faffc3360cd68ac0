/** A thread that does one thing for some time, and tells how many bytes it came through: see cipher.ts. */
import { createCipheriv, randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { transform } from '../formats/transform.ts';
import { MiB } from '../units.ts';

export type Chore = 'cipher' | 'checksum';

export interface ChoreCall {
  chore: Chore;
  ms: number;
}

const PART_SIZE = 8 * MiB;

const { chore, ms } = workerData as ChoreCall;
const plain = randomBytes(MiB);
const sealed = Buffer.allocUnsafeSlow(PART_SIZE);

function seal(): void {
  const cipher = createCipheriv('aes-256-gcm', randomBytes(32), randomBytes(12), { authTagLength: 16 });
  for (let offset = 0; offset < PART_SIZE; offset += plain.length) transform(cipher, plain, sealed, offset);
  cipher.final();
}

const once = { cipher: seal, checksum: () => void crc32(sealed) }[chore];

// The first time costs page faults and a compiler.
once();
parentPort!.once('message', () => {
  const startMs = performance.now();
  let bytes = 0;
  while (performance.now() - startMs < ms) {
    once();
    bytes += PART_SIZE;
  }
  parentPort!.postMessage((bytes * 1000) / (performance.now() - startMs));
});
parentPort!.postMessage('ready');
