/**
 * What it costs to open a signed message of the older kind, suite 0x0378 in frames of 4 KiB, as clients wrote them by
 * default for years: `node bench/old-messages.ts [MiB]…`, of 256 and of 1024 MiB where nothing else is said. AWS's
 * JavaScript client writes the message; then it and Sealift, each as a library in a process of its own, open the file in
 * turn, five rounds, and drop what comes out. Beside them stands what Node's own calls take for as many frames, which
 * neither can go below. Prints medians of CPU seconds, with the least and the most, of the opening and of the whole
 * process, which has to start first, and each as a share of what AWS's client takes.
 */
import { createCipheriv, createHash, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { closeSync, createReadStream, createWriteStream, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { NONCE_SIZE, TAG_SIZE } from '../src/formats/esdk/frame.ts';
import { FRAME_OVERHEAD } from '../src/formats/esdk/layout.ts';
import { release } from '../src/formats/release.ts';
import { KiB, MiB } from '../src/units.ts';
import { measure } from '../test/support/measure.ts';

const ROUND_COUNT = 5;
const SIZES = ['256', '1024'];
const FRAME_SIZE = 4 * KiB;
/** What a frame's tag covers beside its bytes: message id, label, number and size. */
const AUTHENTICATED_SIZE = 16 + 28 + 12;
const names = { namespace: 'bench', name: 'old' };

/** What opens a message, and the calls that it takes. Loaded where it is used, so that neither process pays for the other. */
const openers = {
  sealift: async (key: Buffer) => {
    const { createEngine, rawAesKeyring } = await import('../src/index.ts');
    const engine = createEngine({ keyring: rawAesKeyring({ ...names, key }) });
    const rules = { target: async () => {}, commitmentPolicy: 'require-encrypt-allow-decrypt' } as const;
    return (message: string) => engine.get({ source: pathToFileURL(message).href, ...rules });
  },
  '@aws-crypto/client-node': async (key: Buffer) => {
    const { client, keyring } = await officialClient(key);
    return async (message: string) => {
      for await (const _plain of createReadStream(message).pipe(client.decryptStream(keyring)));
    };
  },
  "Node's calls": async (key: Buffer) => {
    const frameKey = createSecretKey(key);
    return async (message: string) => callsFor(message, frameKey);
  },
};

/** Reads the file, hashes it, and starts a cipher for every frame; sealing costs what opening does, and needs no tag. */
function callsFor(message: string, frameKey: KeyObject): void {
  const hash = createHash('sha384');
  const file = openSync(message, 'r');
  const sealed = Buffer.alloc(64 * (FRAME_SIZE + FRAME_OVERHEAD));
  for (let size = -1; size !== 0; ) {
    size = readSync(file, sealed, 0, sealed.length, null);
    hash.update(sealed.subarray(0, size));
    for (let start = 0; start + FRAME_SIZE + FRAME_OVERHEAD <= size; start += FRAME_SIZE + FRAME_OVERHEAD) {
      const cipher = createCipheriv('aes-256-gcm', frameKey, sealed.subarray(start, start + NONCE_SIZE), {
        authTagLength: TAG_SIZE,
      });
      cipher.setAAD(sealed.subarray(start, start + AUTHENTICATED_SIZE));
      release(cipher.update(sealed.subarray(start, start + FRAME_SIZE)));
      cipher.final();
      cipher.getAuthTag();
    }
  }
  closeSync(file);
  hash.digest();
}

type Opener = keyof typeof openers;

async function officialClient(key: Buffer) {
  const { buildClient, CommitmentPolicy, RawAesKeyringNode, RawAesWrappingSuiteIdentifier } = await import(
    '@aws-crypto/client-node'
  );
  const keyring = new RawAesKeyringNode({
    keyNamespace: names.namespace,
    keyName: names.name,
    unencryptedMasterKey: new Uint8Array(key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  return { client: buildClient(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT), keyring };
}

const given = process.argv.slice(2);
const [name = '', message = '', key = ''] = given;
if (Object.hasOwn(openers, name)) await openOnce(name as Opener, message, Buffer.from(key, 'base64'));
else for (const size of given.length > 0 ? given : SIZES) await compare(Number(size));

/** One of the processes: prints the CPU seconds of the opening. */
async function openOnce(name: Opener, message: string, key: Buffer): Promise<void> {
  const open = await openers[name](key);
  const before = process.cpuUsage();
  await open(message);
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / 1e6);
}

/** Of one size, in MiB. */
async function compare(size: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-old-messages-'));
  try {
    const key = randomBytes(32);
    const message = join(folder, 'message');
    await writeMessage(message, size, key);
    const costs = new Map(
      Object.keys(openers).map((name) => [name, { opening: [] as number[], whole: [] as number[] }]),
    );
    for (let round = 0; round < ROUND_COUNT; round++) {
      for (const [name, { opening, whole }] of costs) {
        const command = [process.execPath, import.meta.filename, name, message, key.toString('base64')];
        const { exit, stdout, stderr, cpuSeconds } = await measure(command);
        if (exit !== 0) throw new Error(`${name} ended with ${exit}: ${stderr}`);
        opening.push(Number(stdout));
        whole.push(cpuSeconds);
      }
    }
    console.log(`${size} MiB, suite 0x0378, frames of 4 KiB, ${ROUND_COUNT} rounds: CPU seconds`);
    for (const part of ['opening', 'whole'] as const) {
      const official = medianOf(costs.get('@aws-crypto/client-node')![part]);
      for (const [name, cost] of costs) {
        const median = medianOf(cost[part]);
        const spread = `${Math.min(...cost[part]).toFixed(2)} to ${Math.max(...cost[part]).toFixed(2)}`;
        console.log(`${part}: ${name} ${median.toFixed(2)} (${spread}), ratio ${(median / official).toFixed(2)}`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function medianOf(seconds: readonly number[]): number {
  return seconds.toSorted((a, b) => a - b)[Math.floor(ROUND_COUNT / 2)]!;
}

async function writeMessage(path: string, size: number, key: Buffer): Promise<void> {
  const { client, keyring } = await officialClient(key);
  const { AlgorithmSuiteIdentifier } = await import('@aws-crypto/client-node');
  const encrypt = client.encryptStream(keyring, {
    suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
    frameLength: FRAME_SIZE,
  });
  await pipeline(Readable.from(Array(size).fill(randomBytes(MiB))), encrypt, createWriteStream(path));
}
