/**
 * Safety rules 1 and 4, seen from outside: plain data keys live in memory only and are zeroed there, and two clones of
 * a process do not make the same message id.
 */
import crypto, { createSecretKey } from 'node:crypto';
import fs, { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeHeader } from '../../src/formats/esdk/header.ts';
import { get } from '../../src/get.ts';
import type { Tools } from '../../src/job.ts';
import type { DataKey, Keyring } from '../../src/keys/keyring.ts';
import { tagOf } from '../../src/ledger/row-tags.ts';
import { openStateDir } from '../../src/ledger/state-dir.ts';
import { MemoryBudget } from '../../src/parts/memory.ts';
import { put } from '../../src/put.ts';
import { freshRandom } from '../../src/random.ts';
import { resolveS3Settings } from '../../src/stores/aws-settings.ts';
import { S3Store } from '../../src/stores/s3.ts';
import { MiB } from '../../src/units.ts';
import { runHere } from '../support/here.ts';
import { BUCKET, keyring, openStage, PART_3_FAILS, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** Gives out keys of the real keyring, and remembers them: the very buffers, and what was in them. */
class Witness implements Keyring {
  readonly id = keyring.id;
  readonly given: { key: DataKey; secret: Buffer }[] = [];

  async makeDataKey(request: Parameters<Keyring['makeDataKey']>[0]) {
    const materials = await keyring.makeDataKey(request);
    this.#remember(materials.dataKey);
    return materials;
  }

  async openDataKey(request: Parameters<Keyring['openDataKey']>[0]) {
    return this.#remember(await keyring.openDataKey(request));
  }

  #remember(key: DataKey): DataKey {
    this.given.push({ key, secret: Buffer.from(key.bytes) });
    return key;
  }
}

/** Tools without a cache in front of the keyring, for objects of one part. */
async function toolsOf({ stateDir, key }: Plot, keyring: Keyring): Promise<Tools> {
  const { settings, credentials } = await resolveS3Settings({ bucket: BUCKET });
  const place = {
    url: `s3://${BUCKET}/${key}`,
    key,
    store: new S3Store({ settings, credentials }),
    settings,
    credentials,
  };
  return {
    stateDir: openStateDir(stateDir),
    keyring,
    place: async () => place,
    prefix: () => expect.unreachable('an object is named whole'),
    kmsPerSecond: () => undefined,
    change: () => {},
    plan: () => expect.unreachable('no threads for one part'),
    crew: () => expect.unreachable('no threads for one part'),
    budget: new MemoryBudget({ maxMemory: 512 * MiB }),
  };
}

describe('a plain data key', () => {
  test('is zeroed after a put, a resume and a get, and is in no file of the state folder', async () => {
    const plot = stage.plot('zeroed', MiB);
    const witness = new Witness();
    const tools = await toolsOf(plot, witness);
    stage.sandbox.setFaults('PutObject:1=500');
    const error = await put(plot, tools).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'store-unavailable' });
    stage.sandbox.setFaults('');
    const unfinished = filesOf(plot);
    // Opened by the resume, made anew for the next attempt, opened by the get.
    await put(plot, tools);
    await get({ source: plot.target, target: plot.back }, tools);
    expect(witness.given).toHaveLength(4);
    for (const { key, secret } of witness.given) {
      expect(secret.equals(Buffer.alloc(32))).toBe(false);
      expect(key.bytes.equals(Buffer.alloc(32))).toBe(true);
      for (const bytes of [...unfinished, ...filesOf(plot)]) expect(mentions(bytes, secret)).toBe(false);
    }
  });

  test('is in nothing that a command says or leaves', async () => {
    const plot = stage.plot('unsaid');
    stage.sandbox.setFaults(PART_3_FAILS);
    const args = [
      'put',
      plot.source,
      plot.target,
      '--kms-key',
      'alias/sandbox',
      '--state-dir',
      plot.stateDir,
      '-v',
      '--json',
    ];
    const failed = await runHere([...args, '--part-size', '5MiB'], { env: { AWS_MAX_ATTEMPTS: '1' } });
    stage.sandbox.setFaults('');
    expect(failed.last).toMatchObject({ code: 'store-unavailable' });
    const told = [...filesOf(plot), Buffer.from(failed.stdout), Buffer.from(failed.stderr)];
    const finished = await runHere([...args, '--part-size', '5MiB']);
    expect(finished.exit).toBe(0);

    const { encryptionContext, encryptedDataKeys } = decodeHeader(await stage.stored(plot))!;
    const [wrapped] = encryptedDataKeys;
    const answer = stage.sandbox.kms.handle('Decrypt', {
      CiphertextBlob: wrapped!.ciphertext.toString('base64'),
      EncryptionContext: encryptionContext,
    });
    const secret = Buffer.from((answer.body as { Plaintext: string }).Plaintext, 'base64');
    expect(secret).toHaveLength(32);
    for (const bytes of [...told, ...filesOf(plot), Buffer.from(finished.stdout), Buffer.from(finished.stderr)]) {
      expect(mentions(bytes, secret)).toBe(false);
    }
  });
});

function filesOf({ stateDir }: Plot): Buffer[] {
  return readdirSync(stateDir).map((name) => readFileSync(join(stateDir, name)));
}

function mentions(bytes: Buffer, secret: Buffer): boolean {
  const forms = [secret, secret.toString('hex'), secret.toString('base64'), secret.toString('base64url')];
  return forms.some((form) => bytes.includes(form));
}

describe('message ids', () => {
  test('differ between clones of a process, whose generator goes on in the same state', () => {
    const original = crypto.randomBytes;
    crypto.randomBytes = ((size: number) => Buffer.alloc(size, 7)) as typeof original;
    syncBuiltinESMExports();
    try {
      expect(freshRandom(16)).not.toEqual(freshRandom(16));
    } finally {
      crypto.randomBytes = original;
      syncBuiltinESMExports();
    }
  });

  test('differ even where the operating system gives the same', () => {
    const original = fs.readSync;
    fs.readSync = ((_fd: number, buffer: Buffer) => buffer.fill(7).length) as typeof original;
    syncBuiltinESMExports();
    try {
      expect(freshRandom(16)).not.toEqual(freshRandom(16));
    } finally {
      fs.readSync = original;
      syncBuiltinESMExports();
    }
  });
});

test('a row of the ledger has another tag under another key', () => {
  const row = ['pieces', 1, 2] as const;
  const [one, two] = [1, 2].map((byte) => tagOf(createSecretKey(Buffer.alloc(32, byte)), row));
  expect(one).not.toEqual(two);
});

test('a redirect to another region is told, and not followed with our signature', async () => {
  let requests = 0;
  const server = createServer((_, response) => {
    requests++;
    response.writeHead(301, { 'x-amz-bucket-region': 'eu-west-1' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { settings, credentials } = await resolveS3Settings({ bucket: BUCKET });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = new S3Store({ settings: { ...settings, endpoint }, credentials });
  const upload = store.createUpload('key', { metadata: {} });
  await expect(upload).rejects.toMatchObject({ code: 'wrong-region', hint: expect.stringContaining('eu-west-1') });
  expect(requests).toBe(1);
  store.close();
  server.close();
});
