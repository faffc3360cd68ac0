/**
 * What it costs to open a signed message of the older kind, suite 0x0378 in frames of 4 KiB, as clients wrote them by
 * default for years: `node bench/old-messages.ts [MiB]`. AWS's JavaScript client writes the message; then it and Sealift,
 * each as a library in a process of its own, open the file in turn, five rounds, and drop what comes out. Prints medians of
 * CPU seconds, with the least and the most, of the opening and of the whole process, which has to start first.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { KiB, MiB } from '../src/units.ts';
import { measure } from '../test/support/measure.ts';

const ROUND_COUNT = 5;
const names = { namespace: 'bench', name: 'old' };

/** What opens a message. Loaded where it is used, so that neither process pays for the other. */
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
};

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

const [first = '256', message, key] = process.argv.slice(2);
if (message === undefined) await compare(Number(first));
else await openOnce(first as Opener, message, Buffer.from(key!, 'base64'));

/** One of the processes: prints the CPU seconds of the opening. */
async function openOnce(name: Opener, message: string, key: Buffer): Promise<void> {
  const open = await openers[name](key);
  const before = process.cpuUsage();
  await open(message);
  const { user, system } = process.cpuUsage(before);
  console.log((user + system) / 1e6);
}

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
      const medians = [...costs].map(([name, cost]) => {
        const seconds = cost[part].toSorted((a, b) => a - b);
        const [least, middle, most] = [seconds[0]!, seconds[Math.floor(ROUND_COUNT / 2)]!, seconds.at(-1)!];
        console.log(`${part}: ${name} ${middle.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`);
        return middle;
      });
      console.log(`${part}: ratio ${(medians[0]! / medians[1]!).toFixed(2)}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function writeMessage(path: string, size: number, key: Buffer): Promise<void> {
  const { client, keyring } = await officialClient(key);
  const { AlgorithmSuiteIdentifier } = await import('@aws-crypto/client-node');
  const encrypt = client.encryptStream(keyring, {
    suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384,
    frameLength: 4 * KiB,
  });
  await pipeline(Readable.from(Array(size).fill(randomBytes(MiB))), encrypt, createWriteStream(path));
}
