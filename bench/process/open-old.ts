/**
 * Opens a signed message of the older kind and drops what comes out, for bench/process/old.ts: `node open-old.ts OPENER
 * MESSAGE`. Prints the CPU seconds of the opening, without what the process took to start.
 */
import { createCipheriv, createHash, createSecretKey, type KeyObject } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { NONCE_SIZE, TAG_SIZE } from '../../src/formats/esdk/frame.ts';
import { FRAME_OVERHEAD } from '../../src/formats/esdk/layout.ts';
import { release } from '../../src/formats/release.ts';
import { KiB } from '../../src/units.ts';
import { openOfficially } from '../pipeline/official.ts';

export const OLD_FRAME_SIZE = 4 * KiB;
export const OLD_KEY = { namespace: 'bench', name: 'old', key: Buffer.alloc(32, 1) };
/** What a frame's tag covers beside its bytes: message id, label, number and size. */
const AUTHENTICATED_SIZE = 16 + 28 + 12;

/** By name. What each is made of is loaded where it is used, so that none pays for the others. */
export const OPENERS: Readonly<Record<string, () => Promise<(message: string) => Promise<unknown>>>> = {
  async sealift() {
    const { createEngine, rawAesKeyring } = await import('../../src/index.ts');
    const engine = createEngine({ keyring: rawAesKeyring(OLD_KEY) });
    const rules = { target: async () => {}, commitmentPolicy: 'require-encrypt-allow-decrypt' } as const;
    return (message) => engine.get({ source: pathToFileURL(message).href, ...rules });
  },
  async 'client-node'() {
    await import('@aws-crypto/client-node');
    return (message) => openOfficially(message, OLD_KEY, 'FORBID_ENCRYPT_ALLOW_DECRYPT');
  },
  async 'calls to Node alone'() {
    const key = createSecretKey(OLD_KEY.key);
    return async (message) => callsFor(message, key);
  },
};

/** Reads the file, hashes it, and starts a cipher for every frame; sealing costs what opening does, and needs no tag. */
function callsFor(message: string, frameKey: KeyObject): void {
  const sealedSize = OLD_FRAME_SIZE + FRAME_OVERHEAD;
  const hash = createHash('sha384');
  const file = openSync(message, 'r');
  const sealed = Buffer.alloc(64 * sealedSize);
  for (let size = -1; size !== 0; ) {
    size = readSync(file, sealed, 0, sealed.length, null);
    hash.update(sealed.subarray(0, size));
    for (let start = 0; start + sealedSize <= size; start += sealedSize) {
      const nonce = sealed.subarray(start, start + NONCE_SIZE);
      const cipher = createCipheriv('aes-256-gcm', frameKey, nonce, { authTagLength: TAG_SIZE });
      cipher.setAAD(sealed.subarray(start, start + AUTHENTICATED_SIZE));
      release(cipher.update(sealed.subarray(start, start + OLD_FRAME_SIZE)));
      cipher.final();
      cipher.getAuthTag();
    }
  }
  closeSync(file);
  hash.digest();
}

if (import.meta.main) {
  const [name, message] = process.argv.slice(2) as [string, string];
  const open = await OPENERS[name]!();
  const before = process.cpuUsage();
  await open(message);
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / 1e6);
}
