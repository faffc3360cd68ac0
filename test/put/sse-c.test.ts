/**
 * Keys of the customer's (SSE-C): S3 encrypts with what it is given, and forgets it. The key goes to S3 over TLS and
 * nowhere else; what is written under it is read with it, and with no other.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { CopyObjectCommand, PutBucketEncryptionCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PutRequest } from '../../src/index.ts';
import { readCustomerKey } from '../../src/keys/customer-key.ts';
import { readKeyFile, writeKeyFile } from '../../src/keys/key-file.ts';
import { runHere } from '../support/here.ts';
import { BUCKET, openStage, PART_2_FAILS, PART_SIZE, type Plot, type Stage } from '../support/stage.ts';

let stage: Stage;
const bytesOf = (text: string) => Buffer.alloc(32, text);
const keyOf = (text: string): KeyObject => createSecretKey(bytesOf(text));
const customerKey = keyOf('customer');
const other = keyOf('another');
/** Of 32 times the word. */
const told = { algorithm: 'AES256', customerKeyMd5: expect.stringMatching(/^[A-Za-z0-9+/]{22}==$/) };

beforeAll(async () => {
  stage = await openStage({ https: true });
  await allow('NONE');
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

const allow = (type: 'NONE' | 'SSE-C') =>
  stage.s3.send(
    new PutBucketEncryptionCommand({
      Bucket: BUCKET,
      ServerSideEncryptionConfiguration: { Rules: [{ BlockedEncryptionTypes: { EncryptionType: [type] } }] },
    }),
  );

/** Two parts, the last of them short. */
const SHORT = PART_SIZE + 1000;
const put = ({ source, target }: Pick<Plot, 'source' | 'target'>, request: Partial<PutRequest> = {}) =>
  stage.shared.put({ source, target, partSize: PART_SIZE, customerKey, ...request });

async function expectEqual(plot: Plot, key: KeyObject | undefined): Promise<void> {
  const opened: Uint8Array[] = [];
  const target = async (bytes: Uint8Array) => void opened.push(Buffer.from(bytes));
  await stage.shared.get({ source: plot.target, target, customerKey: key });
  expect(Buffer.concat(opened).equals(readFileSync(plot.source))).toBe(true);
}

test('an upload that is interrupted goes on with the same key, and with no other', async () => {
  const plot = stage.plot('resumed', SHORT);
  await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', { partSize: PART_SIZE, customerKey });
  for (const wrong of [other, undefined]) {
    await expect(put(plot, { customerKey: wrong })).rejects.toMatchObject({
      code: 'options-differ',
      message: expect.stringContaining('key for SSE-C'),
    });
  }
  expect(await put(plot)).toMatchObject({ sse: told, partsReused: 1, warnings: [] });
  await expectEqual(plot, customerKey);
});

test('an upload that nobody may look at: what its beginning told is no mismatch at its end', async () => {
  const plot = stage.plot('unseen', SHORT);
  stage.sandbox.setFaults('HeadObject:*=AccessDenied; GetObject:*=AccessDenied');
  const { warnings } = await put(plot);
  expect(warnings).toEqual([expect.stringContaining('HEAD is denied'), expect.stringContaining('how it is encrypted')]);
  stage.sandbox.setFaults('');
  await expectEqual(plot, customerKey);
});

test('to read, the key is wanted, and the very key', async () => {
  const plot = stage.plot('read', 1000);
  expect(await put(plot)).toMatchObject({ sse: told });
  const { target: source } = plot;
  const get = (key: KeyObject | undefined) => stage.shared.get({ source, target: plot.back, customerKey: key });
  await expect(get(undefined)).rejects.toMatchObject({ code: 'sse-c-missing-key', exit: 1 });
  await expect(get(other)).rejects.toMatchObject({ code: 'sse-c-wrong-key', exit: 1 });
  await stage.shared.verify({ source, customerKey });
  expect((await stage.shared.inspect(source, { customerKey })).sse).toEqual(told);
  const bare = stage.plot('read bare', 1000);
  await put(bare, { customerKey: undefined });
  const getBare = stage.shared.get({ source: bare.target, target: plot.back, customerKey });
  await expect(getBare).rejects.toMatchObject({ code: 'sse-c-not-used' });
  const listed = async (key?: KeyObject) => {
    const states: string[] = [];
    for await (const entry of stage.shared.list(`s3://${BUCKET}/read`, { customerKey: key })) {
      if (entry.type === 'object') states.push(`${entry.object.slice(-4)} ${entry.state}`);
    }
    return states;
  };
  expect(await listed(customerKey)).toEqual(['read sealed', 'bare sealed']);
  expect(await listed()).toEqual(['read unreadable', 'bare sealed']);
});

test.each([
  ['another', other],
  ['no', undefined],
])('an object under %s key of the customer is seen, and replaced only when asked', async (name, before) => {
  const plot = stage.plot(`replaced ${name}`, 1000);
  await put(plot, { customerKey: before });
  await expect(put(plot)).rejects.toMatchObject({ code: 'target-exists' });
  await put(plot, { overwrite: true });
  await expectEqual(plot, customerKey);
  await put(plot, { overwrite: true, customerKey: before });
  await expectEqual(plot, before);
});

test.each([
  ['another key', other],
  ['no key', undefined],
])('sealed again under %s, with the last answer lost, it is found done', async (name, next) => {
  const plot = stage.plot(`resealed ${name}`, 1000);
  await put(plot);
  const reseal = () => stage.shared.reseal({ object: plot.target, oldCustomerKey: customerKey, customerKey: next });
  stage.sandbox.setFaults('PutObject:1=lose-answer; HeadObject:3-=500');
  await expect(reseal()).rejects.toMatchObject({ code: 'store-unavailable' });
  // It need not be written once more.
  stage.sandbox.setFaults('PutObject:*=500');
  expect(await reseal()).toMatchObject({ warnings: [] });
  await expectEqual(plot, next);
  // With no job left an old key is one that the object must have.
  await expect(reseal()).rejects.toMatchObject({ code: next ? 'sse-c-wrong-key' : 'sse-c-not-used' });
});

test('a bucket that blocks SSE-C: the hint allows it', async () => {
  const plot = stage.plot('blocked', SHORT);
  await allow('SSE-C');
  // The whole configuration is one setting: to write but that of SSE-C could take the default with it.
  const hint = expect.stringContaining(`\`sealift doctor s3://${BUCKET} --allow-sse-c --fix\``);
  await expect(put(plot)).rejects.toMatchObject({ code: 'sse-c-blocked', exit: 1, hint });
  await expect(put({ ...plot, source: stage.plot('blocked small', 1000).source })).rejects.toMatchObject({
    code: 'sse-c-blocked',
  });
  expect(await stage.uploadIds(plot)).toEqual([]);
  // Nothing was begun: no job holds the user to what was refused.
  expect(stage.shared.jobs().filter(({ id }) => stage.shared.job(id).target === plot.target)).toEqual([]);
  await allow('NONE');
});

test('not with another way, not with an instruction file, not in a directory', async () => {
  const plot = stage.plot('refused', 1000);
  const refused = { code: 'bad-option', exit: 2 };
  await expect(put(plot, { sse: { algorithm: 'aws:kms' } })).rejects.toMatchObject(refused);
  await expect(put(plot, { format: 's3ec', instructionFile: true })).rejects.toMatchObject(refused);
  await expect(put({ ...plot, target: `file://${stage.folder}/x` })).rejects.toMatchObject(refused);
});

test('an instruction file is not rewrapped from one key to another, nor to none: its object would stay behind', async () => {
  const plot = stage.plot('instructions', 1000);
  await put(plot, { customerKey: undefined, format: 's3ec', instructionFile: true });
  const SSECustomerKey = customerKey.export() as unknown as string;
  const fields = { Bucket: BUCKET, SSECustomerAlgorithm: 'AES256', SSECustomerKey };
  for (const Key of [plot.key, `${plot.key}.instruction`]) {
    await stage.s3.send(new CopyObjectCommand({ ...fields, Key, CopySource: `${BUCKET}/${Key}` }));
  }
  for (const keys of [{ customerKey: other }, {}]) {
    const rewrapped = stage.shared.rewrap({ object: plot.target, oldCustomerKey: customerKey, ...keys });
    await expect(rewrapped).rejects.toMatchObject({ code: 'bad-option', exit: 2 });
  }
  await expectEqual(plot, customerKey);
});

test('what is under it is a source, of a put and of a migration, with the very key alone', async () => {
  const SSECustomerKey = customerKey.export() as unknown as string;
  const bodies = { small: Buffer.from('one'), large: Buffer.alloc(SHORT, 'two') };
  for (const [name, Body] of Object.entries(bodies)) {
    const fields = { Bucket: BUCKET, SSECustomerAlgorithm: 'AES256', SSECustomerKey };
    await stage.s3.send(new PutObjectCommand({ ...fields, Key: `from/${name}`, Body }));
    writeFileSync(join(stage.folder, name), Body);
  }
  const plotOf = (name: string, folder: string): Plot => ({
    ...stage.plot(`${folder} ${name}`, 1),
    source: join(stage.folder, name),
    target: `s3://${BUCKET}/${folder}/${name}`,
  });
  const source = `s3://${BUCKET}/from/`;
  for (const name of Object.keys(bodies)) {
    const plot = plotOf(name, 'put');
    const copy = (key: KeyObject | undefined) =>
      put(
        { source: source + name, target: plot.target },
        { customerKey: undefined, sourceOptions: { customerKey: key } },
      );
    await expect(copy(undefined)).rejects.toMatchObject({ code: 'sse-c-missing-key' });
    await expect(copy(other)).rejects.toMatchObject({ code: 'sse-c-wrong-key' });
    await copy(customerKey);
    await expectEqual(plot, undefined);
  }
  const request = { source, target: `s3://${BUCKET}/moved/`, partSize: PART_SIZE };
  await using engine = stage.engine({ stateDir: join(stage.folder, 'moving') });
  const denied = await engine.migrate({ ...request, sourceOptions: { customerKey: other } });
  expect(denied).toMatchObject({ objects: 0, failed: 2, failures: { 'sse-c-wrong-key': 2 } });
  const moved = await engine.migrate({ ...request, sourceOptions: { customerKey }, retryFailed: true });
  expect(moved).toMatchObject({ objects: 2, failed: 0 });
  for (const name of Object.keys(bodies)) await expectEqual(plotOf(name, 'moved'), undefined);
});

test('resume gives it to the jobs that were begun with it, and to no other', async () => {
  const path = (name: string) => join(stage.folder, name);
  for (const name of ['customer', 'another', 'moved']) {
    writeFileSync(path(`${name}.sse-c`), bytesOf(name === 'moved' ? 'customer' : name), { mode: 0o600 });
  }
  await writeKeyFile(path('resume.key'));
  const stateDir = path('resume');
  await using engine = stage.engine({ stateDir }, { keyring: await readKeyFile(path('resume.key')) });
  stage.sandbox.setFaults(PART_2_FAILS);
  for (const name of ['customer', 'another', 'none']) {
    const { source, target } = stage.plot(`resume ${name}`, SHORT);
    const file = name === 'none' ? {} : { sseC: path(`${name}.sse-c`) };
    const key = name === 'none' ? undefined : keyOf(name);
    const flags = { rawKey: [path('resume.key')], partSize: PART_SIZE, ...file };
    const begun = engine.put({ source, target, partSize: PART_SIZE, customerKey: key, memo: { flags } });
    await expect(begun).rejects.toMatchObject({ code: 'store-unavailable' });
  }
  stage.sandbox.setFaults('');
  rmSync(path('customer.sse-c'));
  const resumed = await runHere(['resume', '--sse-c', path('moved.sse-c'), '--state-dir', stateDir, '--json']);
  expect(resumed.lines.filter(({ type }) => type !== 'progress' && type !== 'start')).toMatchObject([
    { type: 'result', sse: told },
    { type: 'result', sse: told },
    { type: 'result', sse: { algorithm: 'AES256' } },
  ]);
  expect(resumed.exit).toBe(0);
});

describe('the key', () => {
  test('is a file of 32 bytes, for its owner alone', async () => {
    const file = join(stage.folder, 'a.key');
    writeFileSync(file, bytesOf('customer'), { mode: 0o600 });
    expect((await readCustomerKey(file)).export()).toEqual(bytesOf('customer'));
    chmodSync(file, 0o640);
    await expect(readCustomerKey(file)).rejects.toMatchObject({
      code: 'bad-key-file',
      hint: expect.stringContaining('chmod'),
    });
    writeFileSync(join(stage.folder, 'b.key'), 'short', { mode: 0o600 });
    await expect(readCustomerKey(join(stage.folder, 'b.key'))).rejects.toMatchObject({ code: 'bad-key-file' });
  });

  test('goes over HTTPS alone, on this machine too and whatever is allowed', async () => {
    const plot = stage.plot('http', 1000);
    const http = await openStage();
    try {
      await using engine = http.engine(plot, { allowHttp: true });
      const source = `s3://${BUCKET}/http`;
      const calls = [
        engine.put({ ...plot, customerKey }),
        engine.get({ source, target: plot.back, customerKey }),
        engine.verify({ source, customerKey }),
        engine.inspect(source, { customerKey }),
        engine.reseal({ object: source, customerKey }),
        engine.rewrap({ object: source, oldCustomerKey: customerKey }),
        engine.list(source, { customerKey }).next(),
      ];
      for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
        expect(reason).toMatchObject({ code: 'sse-c-needs-https', exit: 2 });
      }
      expect(http.requests).toEqual([]);
    } finally {
      await http.close();
      for (const [name, value] of Object.entries(stage.sandbox.env)) vi.stubEnv(name, value);
      vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
    }
  });

  test('stands in nothing that is kept or said', async () => {
    const plot = stage.plot('secret', SHORT);
    const errors: unknown[] = [];
    const onEvent: PutRequest['onEvent'] = (event) => void errors.push(event);
    await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable', { partSize: PART_SIZE, customerKey, onEvent });
    errors.push(await put(plot, { customerKey: other }).catch((error) => error));
    stage.sandbox.setFaults('PutObject:1=AccessDenied');
    errors.push(await put(stage.plot('secret refused', 1000)).catch((error) => error));
    stage.sandbox.setFaults('');
    const file = join(stage.folder, 'customer.key');
    const secret = bytesOf('customer');
    writeFileSync(file, secret, { mode: 0o600 });
    await writeKeyFile(join(stage.folder, 'raw.key'));
    const small = stage.plot('secret small', 1000);
    const flags = ['--raw-key', join(stage.folder, 'raw.key'), '--state-dir', plot.stateDir, '--json', '-v'];
    const { last, stdout, stderr } = await runHere(['put', small.source, small.target, '--sse-c', file, ...flags]);
    expect(last).toMatchObject({ type: 'result', sse: told });

    const kept = readdirSync(plot.stateDir).map((name) => readFileSync(join(plot.stateDir, name)).toString('latin1'));
    const shown = inspect(errors, { depth: 20, showHidden: true });
    expect(shown).toContain('AccessDenied');
    // Nor what signs a request.
    expect(shown).not.toContain('AWS4-HMAC-SHA256');
    const said = [stdout, stderr, shown, JSON.stringify(stage.requests)];
    expect(kept.join('')).toContain('customerKeyMd5');
    for (const form of [secret.toString('latin1'), secret.toString('base64').slice(0, 40), secret.toString('hex')]) {
      expect([...kept, ...said].filter((text) => text.includes(form))).toEqual([]);
    }
  });
});

test('is given for the objects of a list, which is itself not encrypted so', async () => {
  const plot = stage.plot('in a list', 1000);
  await put(plot);
  const source = join(stage.folder, 'list.csv');
  writeFileSync(source, `${BUCKET},in+a+list\n`);
  const migrate = (target: string, key: KeyObject | undefined) =>
    stage.shared.migrate({ source, target: `s3://${BUCKET}/${target}/`, sourceOptions: { customerKey: key } });
  expect(await migrate('with', customerKey)).toMatchObject({ objects: 1, failed: 0 });
  expect(await migrate('without', undefined)).toMatchObject({ objects: 0, failed: 1 });
});
