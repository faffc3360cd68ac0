/** Objects that other writers made, fetched through the engine from a sandbox: single blocks, and frames of any size. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createEngine, type EngineOptions } from '../../src/engine.ts';
import { rawAesKeyring } from '../../src/keys/raw-aes.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { MiB } from '../../src/units.ts';
import { DATA_KEY, sealBlock, sealMessage, somePlain, wrapDataKey } from '../formats/message.ts';
import { foreignMessage, suiteNamed } from './foreign-message.ts';

const wrappingKey = Buffer.alloc(32, 'wrapping key');
const names = { namespace: 'somebody', name: 'else' };
/** What a foreign message has in its header: our key, and no mark of ours. */
const foreign = {
  encryptionContext: {},
  encryptedDataKeys: [
    wrapDataKey({ dataKey: DATA_KEY, wrappingKey, ...names, encryptionContext: {}, nonce: randomBytes(12) }),
  ],
};

let folder: string;
let sandbox: Sandbox;
let store: S3Store;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealift-test-'));
  sandbox = await startSandbox({ buckets: ['old'] });
  for (const [name, value] of Object.entries(sandbox.env)) vi.stubEnv(name, value);
  store = new S3Store(await resolveS3Settings({ bucket: 'old' }));
});

afterAll(async () => {
  store.close();
  await sandbox.close();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

function engineWith(options: EngineOptions = {}) {
  const keyring = rawAesKeyring({ ...names, key: wrappingKey });
  return createEngine({ keyring, stateDir: join(folder, 'state'), ...options });
}

async function upload(key: string, sealed: Buffer): Promise<string> {
  await store.putObject(key, sealed, { metadata: {}, crc32: crc32(sealed), condition: {} });
  return store.url(key);
}

describe('a single block', () => {
  test.each([0, 1, 100_000])('of %i bytes comes back into a file', async (size) => {
    const { sealed, plain } = sealBlock({ plain: somePlain(size), ...foreign });
    const source = await upload(`block ${size}`, sealed);
    const target = join(folder, `block ${size}`);
    await using engine = engineWith();
    expect(await engine.get({ source, target })).toMatchObject({ plainBytes: size, parts: 1 });
    expect((await readFile(target)).equals(plain)).toBe(true);
  });

  test('comes back in ranges, each opened whole and trimmed', async () => {
    const { sealed, plain } = sealBlock({ plain: somePlain(1000), ...foreign });
    const source = await upload('ranges', sealed);
    await using engine = engineWith();
    for (const [first, last] of [
      [0, 0],
      [17, 400],
      [999, 5000],
    ] as const) {
      const chunks: Buffer[] = [];
      const target = async (bytes: Uint8Array) => void chunks.push(Buffer.from(bytes));
      await engine.get({ source, target, range: { first, last } });
      expect(Buffer.concat(chunks)).toEqual(plain.subarray(first, last + 1));
    }
  });

  test('releases nothing when its last byte is damaged, whatever the range', async () => {
    const { sealed } = sealBlock({ plain: somePlain(1000), ...foreign });
    sealed[sealed.length - 1]! ^= 1;
    const source = await upload('damaged', sealed);
    const target = vi.fn(async () => {});
    await using engine = engineWith();
    await expect(engine.get({ source, target, range: { first: 0, last: 9 } })).rejects.toMatchObject({
      code: 'bad-frame',
    });
    expect(target).not.toHaveBeenCalled();
  });

  test('is shown as what it is', async () => {
    const { sealed } = sealBlock({ plain: somePlain(1000), ...foreign });
    await using engine = engineWith();
    expect(await engine.inspect(await upload('shown', sealed))).toMatchObject({
      frameSize: 0,
      frames: 1,
      plainBytes: 1000,
      sealedBytes: sealed.length,
      boundToName: false,
    });
  });
});

describe('a signed message', () => {
  const suite = suiteNamed('0378');
  const plain = somePlain(3 * MiB);

  test('comes in one stream, which goes on where it broke, into a file that nobody sees before', async () => {
    const source = await upload('signed', foreignMessage({ suite, plain, frameSize: 4096 }));
    const target = join(await mkdtemp(join(folder, 'signed-')), 'file');
    // The first two reads are of the header and of the signature.
    sandbox.setFaults('GetObject:3=reset@1MiB; GetObject:4=reset@512KiB; GetObject:5=500');
    await using engine = engineWith();
    const commitmentPolicy = 'require-encrypt-allow-decrypt';
    expect(await engine.get({ source, target, commitmentPolicy })).toMatchObject({ plainBytes: plain.length });
    sandbox.setFaults('');
    expect((await readFile(target)).equals(plain)).toBe(true);
    expect(await readdir(join(target, '..'))).toEqual(['file']);
    expect(engine.jobs().filter((job) => 'source' in job && job.source === source)).toEqual([]);
  });

  test('whose bytes change on the way is refused, and leaves no file', async () => {
    const source = await upload('corrupt', foreignMessage({ suite, plain, frameSize: 4096 }));
    const target = join(await mkdtemp(join(folder, 'signed-')), 'file');
    const commitmentPolicy = 'require-encrypt-allow-decrypt';
    await using engine = engineWith();
    sandbox.setFaults('GetObject:3=corrupt@1000000');
    await expect(engine.get({ source, target, commitmentPolicy })).rejects.toMatchObject({ exit: 6 });
    sandbox.setFaults('');
    expect(await readdir(join(target, '..'))).toEqual([]);
  });
});

describe('memory', () => {
  test.each([
    ['a single block of 40 MiB', () => sealBlock({ plain: Buffer.alloc(40 * MiB, 'P'), ...foreign })],
    ['one frame of 40 MiB', () => sealMessage({ plain: Buffer.alloc(40 * MiB, 'P'), frameSize: 40 * MiB, ...foreign })],
    ['frames of 40 MiB', () => sealMessage({ plain: Buffer.alloc(81 * MiB, 'P'), frameSize: 40 * MiB, ...foreign })],
  ])('%s: refused before anything is done, and open with the least it names', async (name, seal) => {
    const { sealed, plain } = seal();
    const source = await upload(name, sealed);
    const target = join(await mkdtemp(join(folder, 'target-')), 'file');
    const stateDir = await mkdtemp(join(folder, 'state-'));

    await using small = engineWith({ maxMemory: 180 * MiB, stateDir });
    const error = await small.get({ source, target }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'memory-too-small', exit: 2 });
    expect(small.jobs()).toEqual([]);
    expect(await readdir(join(target, '..'))).toEqual([]);

    const least = Number(/--max-memory (\d+)MiB or more/.exec(error.hint)?.[1]);
    await using justTooSmall = engineWith({ maxMemory: (least - 1) * MiB, stateDir });
    await expect(justTooSmall.get({ source, target })).rejects.toMatchObject({ code: 'memory-too-small' });
    await using enough = engineWith({ maxMemory: least * MiB, stateDir });
    await enough.get({ source, target });
    expect((await readFile(target)).equals(plain)).toBe(true);
  });

  test('counts what frames hold, not what the header says that they could', async () => {
    const { sealed, plain } = sealMessage({ plain: somePlain(100), frameSize: 2 ** 32 - 1, ...foreign });
    const source = await upload('small in large frames', sealed);
    const target = join(folder, 'small in large frames');
    await using engine = engineWith({ maxMemory: 180 * MiB });
    await engine.get({ source, target });
    expect(await readFile(target)).toEqual(plain);
  });
});
