/** `file:///path` as people use it: no AWS setting, no network, and all the rest as with S3. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine } from '../../src/index.ts';
import { MiB } from '../../src/units.ts';
import { type RunOptions, run, start } from '../support/cli.ts';
import { sha256Of, writeRandomFile } from '../support/files.ts';
import { runHere } from '../support/here.ts';
import { checkRecords } from '../support/records.ts';

const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'));
const objects = join(folder, 'objects');
const records = join(folder, 'records');
const key = join(folder, 'raw.key');
const KEY = ['--raw-key', key];
/** Nothing of AWS, whatever this test was started with. */
const noAws = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => name.startsWith('AWS_'))
    .map((name) => [name, undefined]),
);
const options: RunOptions = {
  cwd: folder,
  records,
  env: { ...noAws, HOME: join(folder, 'nobody'), SEALIFT_STATE_DIR: join(folder, 'state') },
};
const sealift = (...args: string[]) => run([...args, '--json'], options);
/** Without a process, where it does not matter what the recorder sees. */
const sealiftHere = (...args: string[]) => runHere([...args, '--json'], options);
const urlOf = (name: string) => pathToFileURL(join(objects, name)).href;
const hidden = () => readdirSync(objects).filter((name) => name.startsWith('.') && !name.endsWith('.json'));

beforeAll(async () => {
  for (const path of [objects, records]) mkdirSync(path);
  await sealiftHere('keygen', key);
});
afterAll(() => {
  const { calls, violations } = checkRecords(records);
  rmSync(folder, { recursive: true });
  expect(calls).toBeGreaterThan(100);
  expect(violations).toEqual([]);
});

describe('an object in a directory', () => {
  const plain = randomBytes(20 * MiB + 1);
  const name = '100% & #1 ?.tar';
  const url = urlOf(name);
  beforeAll(async () => {
    writeFileSync(join(folder, name), plain);
    const headers = ['--metadata', 'film=Metropolis', '--content-type', 'application/x-tar', '--tag', 'a=b'];
    const put = await sealift('put', name, `file://${objects}/`, ...KEY, ...headers);
    expect(put).toMatchObject({ exit: 0, last: { object: url, parts: 3, kmsCalls: 0, warnings: [] } });
  });

  test('comes back, whole into a folder, and by range into a file', async () => {
    mkdirSync(join(folder, 'back'));
    expect(await sealiftHere('get', url, 'back', ...KEY)).toMatchObject({
      exit: 0,
      last: { plainBytes: plain.length },
    });
    expect(readFileSync(join(folder, 'back', name)).equals(plain)).toBe(true);
    await sealiftHere('get', url, 'some', ...KEY, '--range', '8388600-8388700');
    expect(readFileSync(join(folder, 'some'))).toEqual(plain.subarray(8388600, 8388701));
  });

  test('is shown with its headers, without a key', async () => {
    expect((await sealiftHere('inspect', url)).last).toMatchObject({
      object: url,
      boundToName: true,
      plainBytes: plain.length,
      contentType: 'application/x-tar',
      crc32: expect.stringMatching(/^[0-9a-f]{8}$/),
      metadata: { film: 'Metropolis', 'sealift-id': expect.any(String) },
    });
  });

  test('is a message that AWS’s own client opens', async () => {
    const { namespace, name: keyName, key: bytes } = JSON.parse(readFileSync(key, 'utf8'));
    const keyring = new RawAesKeyringNode({
      keyNamespace: namespace,
      keyName,
      unencryptedMasterKey: new Uint8Array(Buffer.from(bytes, 'base64')),
      wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
    });
    const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
    const { plaintext } = await client.decrypt(keyring, readFileSync(join(objects, name)));
    expect(plaintext.equals(plain)).toBe(true);
  });

  test('is replaced with --overwrite alone', async () => {
    writeFileSync(join(folder, 'small'), 'small');
    const refused = await sealiftHere('put', 'small', url, ...KEY);
    expect(refused).toMatchObject({ exit: 1, last: { code: 'target-exists' } });
    expect(await sealift('put', 'small', urlOf('other'), ...KEY)).toMatchObject({ exit: 0, last: { parts: 1 } });
    const replaced = await sealift('put', name, urlOf('other'), ...KEY, '--overwrite');
    expect(replaced).toMatchObject({ exit: 0, last: { parts: 3 } });
    expect(hidden()).toEqual([]);
  });

  test('moved with its directory opens; under another name it does not', async () => {
    mkdirSync(join(folder, 'moved'));
    const moved = pathToFileURL(join(folder, 'moved', name)).href;
    writeFileSync(join(folder, 'moved', name), readFileSync(join(objects, name)));
    writeFileSync(join(objects, 'renamed'), readFileSync(join(objects, name)));
    expect(await sealiftHere('get', moved, 'from-moved', ...KEY)).toMatchObject({ exit: 0 });
    const renamed = await sealiftHere('get', urlOf('renamed'), 'from-renamed', ...KEY);
    expect(renamed).toMatchObject({ exit: 6, last: { code: 'object-relocated' } });
  });

  test.each([
    ['a directory that is not there', () => urlOf('no/x'), 'bucket-not-found', 1],
    ['an object that is not there', () => urlOf('no'), 'object-not-found', 1],
    ['a plain file', () => urlOf('plain'), 'not-sealed', 1],
    ['a directory', () => pathToFileURL(objects).href, 'store-error', 1],
    ['another machine', () => 'file://objects/x', 'bad-url', 2],
    ['a relative path', () => 'file:x', 'bad-url', 2],
  ])('%s says what to do', async (_name, url, code, exit) => {
    writeFileSync(join(objects, 'plain'), 'this was never sealed, and is longer than nothing');
    await using engine = createEngine();
    const hint = expect.stringMatching(/\.$/);
    await expect(engine.inspect(url())).rejects.toMatchObject({ code, exit, hint });
  });
});

describe('a put that was killed', () => {
  const source = join(folder, 'film.mov');
  const url = urlOf('film.mov');
  beforeAll(() => writeRandomFile(source, 96 * MiB));

  const killed = async () => {
    const put = start(['put', source, url, ...KEY, '--lanes', '1', '--json'], options);
    await put.until(({ type, ackedBytes }) => type === 'progress' && (ackedBytes as number) > 0);
    put.child.kill('SIGKILL');
    expect(await put.ended).toMatchObject({ signal: 'SIGKILL' });
    expect(readdirSync(objects)).not.toContain('film.mov');
    expect(hidden()).toHaveLength(1);
  };

  test('goes on with what is on the disk', async () => {
    await killed();
    const resumed = await sealift('resume');
    expect(resumed).toMatchObject({ exit: 0, last: { parts: 12, object: url } });
    expect(resumed.last!.partsReused).toBeGreaterThanOrEqual(1);
    expect(hidden()).toEqual([]);
    expect(await sealiftHere('get', url, 'film-back.mov', ...KEY)).toMatchObject({ exit: 0 });
    expect(await sha256Of(join(folder, 'film-back.mov'))).toBe(await sha256Of(source));
    rmSync(join(objects, 'film.mov'));
  });

  test('leaves nothing once it is cancelled', async () => {
    await killed();
    const [job] = (await sealiftHere('jobs')).lines;
    expect(job).toMatchObject({ state: 'interrupted', target: url });
    expect(await sealiftHere('cancel', job!.job as string)).toMatchObject({ exit: 0 });
    expect(hidden()).toEqual([]);
  });

  test('starts over where its upload is gone, under a new key', async () => {
    await killed();
    rmSync(join(objects, hidden()[0]!), { recursive: true });
    const again = await sealift('put', source, url, ...KEY);
    expect(again).toMatchObject({ exit: 0, last: { partsReused: 0 } });
    expect(again.lines.map(({ type }) => type)).toContain('restart');
    expect(hidden()).toEqual([]);
  });
});
