/** A bucket is looked at, put right, and looked at again, against a server that evaluates what is written into its policy. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketOwnershipControlsCommand,
  DeleteObjectCommand,
  DeletePublicAccessBlockCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Change } from '../../src/doctor/apply.ts';
import { findUploads } from '../../src/doctor/uploads.ts';
import type { DoctorRequest, Finding } from '../../src/doctor.ts';
import type { RequestRecord } from '../../src/sandbox/log.ts';
import { openBucket, openStore, resolveStore } from '../../src/stores/open.ts';
import { clientOf, outcome } from '../sandbox/s3-client.ts';
import { collect } from '../stores/contract.ts';
import { run } from '../support/cli.ts';
import { runHere } from '../support/here.ts';
import { BUCKET, openStage, PART_2_FAILS, PART_SIZE, type Stage } from '../support/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ https: true });
});
afterEach(() => stage.sandbox.setFaults(''));
afterAll(() => stage.close());

let count = 0;

/** A bucket without any of what S3 gives new ones. */
async function bareBucket(): Promise<string> {
  const Bucket = `bare-${++count}`;
  await stage.s3.send(new CreateBucketCommand({ Bucket }));
  await stage.s3.send(new DeleteBucketOwnershipControlsCommand({ Bucket }));
  await stage.s3.send(new DeletePublicAccessBlockCommand({ Bucket }));
  const rule = { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' } } as const;
  await setEncryption(Bucket, { ...rule, BlockedEncryptionTypes: { EncryptionType: ['NONE'] } });
  return Bucket;
}

const setEncryption = (
  Bucket: string,
  rule: NonNullable<NonNullable<PutBucketEncryptionCommand['input']['ServerSideEncryptionConfiguration']>['Rules']>[0],
) => stage.s3.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: { Rules: [rule] } }));

const setPolicy = (Bucket: string, ...Statement: object[]) =>
  stage.s3.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }));

const policyOf = async (Bucket: string) =>
  JSON.parse((await stage.s3.send(new GetBucketPolicyCommand({ Bucket }))).Policy!);

const look = (name: string, request: Partial<DoctorRequest> = {}) =>
  stage.shared.doctor({ bucket: `s3://${name}`, ...request });
const fix = (name: string, request: Partial<DoctorRequest> = {}) => look(name, { approve: () => true, ...request });

const matching = (pattern: RegExp) => expect.stringMatching(pattern);

const named = (findings: Finding[], state: Finding['state']) =>
  findings.filter((finding) => finding.state === state).map(({ check }) => check);

const operationsOn = (name: string, from: RequestRecord[] = stage.requests) =>
  from.filter(({ bucket }) => bucket === name).map(({ operation }) => operation);

const deny = (name: string, more: object) => {
  const arn = `arn:aws:s3:::${name}`;
  return { Sid: 'Theirs', Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: [arn, `${arn}/*`], ...more };
};

const olderOfOurs = (name: string) =>
  deny(name, { Sid: 'SealiftDenyOldTls', Condition: { NumericLessThan: { 's3:TlsVersion': '1.1' } } });

describe('a bare bucket', () => {
  const GAPS = ['transport', 'tls', 'bucket-key', 'sse-c', 'versioning', 'lifecycle', 'ownership', 'public-access'];

  test('has every gap; they are closed, and then there is none', async () => {
    const name = await bareBucket();
    const before = await look(name);
    expect(named(before.findings, 'gap')).toEqual(GAPS);
    expect(before.findings.filter(({ state, remedy, why }) => state === 'gap' && (!remedy || !why))).toEqual([]);
    // By hand, one after the other, none undoes what another did.
    const byHand = before.findings.find(({ check }) => check === 'sse-c')?.remedy;
    expect(byHand).toMatch(/put-bucket-encryption .*"BucketKeyEnabled":true.*"EncryptionType":\["SSE-C"\]/);
    const fixed = await fix(name);
    expect(fixed.applied.map(({ setting }) => setting)).toEqual([
      'policy',
      'encryption',
      'versioning',
      'lifecycle',
      'ownership',
      'publicAccess',
    ]);
    expect([fixed.warnings, named(fixed.findings, 'gap')]).toEqual([[], []]);
    const writes = operationsOn(name).filter((operation) => operation.startsWith('Put'));
    const again = await fix(name, { approve: () => expect.unreachable('there is nothing to approve') });
    expect([named(again.findings, 'gap'), named(again.findings, 'unknown')]).toEqual([[], []]);
    expect(operationsOn(name).filter((operation) => operation.startsWith('Put'))).toEqual(writes);
  });

  test('is left as it is where nobody approves, and where a check is skipped', async () => {
    const name = await bareBucket();
    stage.requests.length = 0;
    const refused = await look(name, { approve: () => false });
    expect([refused.applied, named(refused.findings, 'gap')]).toEqual([[], GAPS]);
    expect(operationsOn(name).filter((operation) => !/^(Get|Head|List)/.test(operation))).toEqual([]);
    await fix(name, { skip: ['versioning', 'sse-c'] });
    expect(named((await look(name)).findings, 'gap')).toEqual(['sse-c', 'versioning']);
  });

  test('gets no SSE-C unasked, and keeps its default encryption', async () => {
    const name = await bareBucket();
    await fix(name);
    await fix(name);
    const sseC = async (allowSseC: boolean) =>
      (await look(name, { allowSseC })).findings.find(({ check }) => check === 'sse-c');
    expect(await sseC(false)).toMatchObject({ state: 'ok', found: 'SSE-C is blocked' });
    expect(await sseC(true)).toMatchObject({ state: 'gap' });
    const { applied } = await fix(name, { allowSseC: true });
    expect(applied).toMatchObject([
      { setting: 'encryption', after: { BlockedEncryptionTypes: { EncryptionType: ['NONE'] } } },
    ]);
    const encryption = (await look(name, { allowSseC: true })).findings.find(({ check }) => check === 'encryption');
    expect(encryption).toMatchObject({ state: 'ok', found: 'By default aws:kms' });
  });
});

test('a denied permission is told, for looking as for changing, and the rest is done', async () => {
  const name = await bareBucket();
  await setPolicy(
    name,
    deny(name, { Action: ['s3:GetLifecycleConfiguration', 's3:PutBucketVersioning', 's3:ListBucket*'] }),
  );
  const { findings, applied, warnings } = await fix(name);
  expect(named(findings, 'unknown')).toEqual(['lifecycle', 'uploads']);
  expect(named(findings, 'gap')).toEqual(['versioning']);
  expect(findings.find(({ check }) => check === 'lifecycle')?.remedy).toMatch(/policy denies it/);
  expect(warnings).toMatchObject([expect.stringMatching(/^The versioning .* could not be changed: .*explicit deny/)]);
  expect(applied.map(({ setting }) => setting)).toEqual(['policy', 'encryption', 'ownership', 'publicAccess']);
  expect((await policyOf(name)).Statement[0]).toMatchObject({ Sid: 'Theirs' });
});

test('what somebody else changed meanwhile is left alone', async () => {
  const name = await bareBucket();
  const theirs = deny(name, { Action: 's3:DeleteBucket', Resource: `arn:aws:s3:::${name}` });
  const { applied, warnings } = await fix(name, {
    approve: async () => {
      await setPolicy(name, theirs);
      return true;
    },
  });
  expect(warnings).toMatchObject([expect.stringMatching(/^The policy .* changed by somebody else/)]);
  expect(applied.map(({ setting }) => setting)).not.toContain('policy');
  expect((await policyOf(name)).Statement).toEqual([theirs]);
});

test('a fix that fails half way tells what was changed, whatever fails after it', async () => {
  const name = await bareBucket();
  stage.sandbox.setFaults(
    `PutBucketVersioning(bucket=${name}):*=500; GetBucketOwnershipControls(bucket=${name}):2-=500; ListMultipartUploads:*=500`,
  );
  const { applied, warnings, findings } = await fix(name);
  expect(applied.map(({ setting }) => setting)).toEqual(['policy', 'encryption']);
  expect(warnings).toEqual([
    expect.stringMatching(/^The versioning of the bucket could not be changed: /),
    'Nothing was tried after that. Changed before it: policy, encryption',
  ]);
  expect(named(findings, 'unknown')).toEqual(['ownership', 'uploads']);
  expect(named(findings, 'gap')).toEqual(['versioning', 'lifecycle', 'public-access']);
});

test('a fix that is interrupted says what was changed by then', async () => {
  const name = await bareBucket();
  const stop = new AbortController();
  stage.strike(`PutBucketVersioning(bucket=${name}):1=stall`, () => stop.abort());
  await expect(fix(name, { signal: stop.signal })).rejects.toMatchObject({
    code: 'interrupted',
    exit: 4,
    message: expect.stringMatching(/Changed before it: policy, encryption$/),
  });
  stage.sandbox.setFaults('');
  expect((await fix(name)).applied.map(({ setting }) => setting)).toEqual([
    'versioning',
    'lifecycle',
    'ownership',
    'publicAccess',
  ]);
});

test('a statement of ours that was edited to do the work of another is put right in one go', async () => {
  const name = await bareBucket();
  await setPolicy(
    name,
    deny(name, { Sid: 'SealiftDenyOldTls', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
  );
  const { findings, applied } = await fix(name);
  expect(named(findings, 'gap')).toEqual([]);
  expect(applied[0]!.added).toMatchObject([{ Sid: 'SealiftDenyOldTls' }, { Sid: 'SealiftDenyInsecureTransport' }]);
});

test('without a state folder to look into nothing is changed', async () => {
  const name = await bareBucket();
  stage.requests.length = 0;
  const stateDir = join(stage.folder, 'open-to-all');
  mkdirSync(stateDir);
  chmodSync(stateDir, 0o777);
  await using engine = stage.engine({ stateDir });
  const request = { bucket: `s3://${name}`, approve: () => true };
  await expect(engine.doctor(request)).rejects.toMatchObject({ code: 'state-dir-unsafe' });
  expect(operationsOn(name)).toEqual([]);
});

test('an older statement of ours is shown with what takes its place', async () => {
  const name = await bareBucket();
  const older = olderOfOurs(name);
  await setPolicy(name, older);
  const byHand = (await look(name)).findings.find(({ check }) => check === 'tls')?.remedy;
  expect(byHand).toMatch(/^Replace in the policy: \{.*"1\.1".*\} by: \{.*"1\.2"/);
  const { applied } = await fix(name);
  expect(applied[0]).toMatchObject({
    removed: [older],
    consequences: [/HTTP are refused/, /TLS 1\.0 or 1\.1/].map(matching),
  });
  expect((await policyOf(name)).Statement).not.toContainEqual(older);
});

test('rules of a lifecycle stay, of either kind', async () => {
  for (const scope of [
    { Filter: { And: { Prefix: 'logs/', Tags: [{ Key: 'a', Value: 'b' }] } } },
    { Prefix: 'logs/' },
  ]) {
    const name = await bareBucket();
    const theirs = { ID: 'theirs', Status: 'Enabled' as const, ...scope, Expiration: { Date: new Date('2030-01-01') } };
    const part = {
      ID: 'part',
      Status: 'Enabled' as const,
      ...('Filter' in scope ? { Filter: { Prefix: 'x' } } : { Prefix: 'x' }),
    };
    const Rules = [theirs, { ...part, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } }];
    await stage.s3.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: name,
        LifecycleConfiguration: { Rules },
        TransitionDefaultMinimumObjectSize: 'varies_by_storage_class',
      }),
    );
    expect((await look(name)).findings.find(({ check }) => check === 'lifecycle')?.found).toMatch(/^Only some/);
    await fix(name);
    const kept = await stage.s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: name }));
    expect(kept.Rules?.slice(0, 2)).toEqual(Rules);
    expect(kept.Rules?.[2]).toMatchObject({ ID: 'sealift-abort-incomplete-uploads' });
    expect(kept.TransitionDefaultMinimumObjectSize).toBe('varies_by_storage_class');
    expect((await look(name)).findings.find(({ check }) => check === 'lifecycle')?.state).toBe('ok');
  }
});

test('over plain HTTP it does not lock itself out', async () => {
  const plain = await openStage();
  try {
    const approve = () => true;
    const { findings, applied } = await plain.shared.doctor({ bucket: `s3://${BUCKET}`, approve });
    expect(named(findings, 'gap')).toEqual(['transport']);
    expect(findings.find(({ check }) => check === 'transport')?.remedy).toMatch(/https:\/\/ endpoint/);
    expect(JSON.stringify(applied)).not.toContain('SecureTransport');
    // A policy that denies HTTP all the same: a put is told why.
    await plain.s3.send(
      new PutBucketPolicyCommand({
        Bucket: BUCKET,
        Policy: JSON.stringify({
          Statement: deny(BUCKET, { Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        }),
      }),
    );
    const plot = plain.plot('denied', 100);
    const refusal = {
      code: 'policy-denied',
      exit: 1,
      hint: expect.stringMatching(/https:\/\/.*sealift doctor s3:\/\/bucket/),
    };
    await expect(plain.put(plot)).rejects.toMatchObject(refusal);
  } finally {
    await plain.close();
    for (const [name, value] of Object.entries(stage.sandbox.env)) vi.stubEnv(name, value);
    vi.stubEnv('AWS_MAX_ATTEMPTS', '1');
  }
});

test('a required encryption: puts with it, and with none, pass; others are told which it is', async () => {
  const name = await bareBucket();
  const keyId = stage.sandbox.kmsKeyId;
  const requireSse = { algorithm: 'aws:kms', keyId };
  expect(named((await look(name, { requireSse })).findings, 'gap')).toEqual(
    expect.arrayContaining(['encryption', 'require-sse', 'require-sse-key']),
  );
  const { findings } = await fix(name, { requireSse });
  expect(named(findings, 'gap')).toEqual([]);
  expect(findings.filter(({ check }) => check === 'demand').map(({ remedy }) => remedy)).toContain(
    `Put with --sse kms:${keyId}`,
  );
  const small = stage.plot('required-small', 100).source;
  const put = (key: string, sse?: { algorithm: string; keyId?: string }, source = small) =>
    stage.shared.put({ source, target: `s3://${name}/${key}`, partSize: PART_SIZE, sse });
  expect((await put('named', requireSse)).sse).toMatchObject(requireSse);
  // Parts of an upload name no encryption.
  await put('unnamed', undefined, stage.plot('required', PART_SIZE + 1).source);
  const refusal = { code: 'policy-denied', exit: 1, hint: expect.stringMatching(/--sse kms:KEY.*sealift doctor/) };
  await expect(put('refused', { ...requireSse, keyId: `${keyId}-not` })).rejects.toMatchObject(refusal);
  await expect(put('refused', { algorithm: 'aws:kms' })).rejects.toMatchObject(refusal);
  await expect(put('refused', { algorithm: 'AES256' })).rejects.toMatchObject(refusal);
  // What was refused binds nobody.
  await put('refused', requireSse);
});

test('a policy that lets nobody read: a put is told so at its end, and `ls` goes on to the next', async () => {
  const name = await bareBucket();
  const hidden = ['sealed', '*.instruction'].map((key) => `arn:aws:s3:::${name}/${key}`);
  await setPolicy(name, deny(name, { Action: 's3:GetObject', Resource: hidden }));
  const warnings = [expect.stringContaining('HEAD is denied')];
  for (const size of [100, PART_SIZE + 1]) {
    const { source } = stage.plot(`unseen-${size}`, size);
    expect(await stage.shared.put({ source, target: `s3://${name}/sealed`, partSize: PART_SIZE })).toMatchObject({
      warnings,
    });
    if (size === 100) await stage.s3.send(new DeleteObjectCommand({ Bucket: name, Key: 'sealed' }));
  }
  await stage.s3.send(new PutObjectCommand({ Bucket: name, Key: 'note', Body: 'Not sealed at all' }));
  const states = (await collect(stage.shared.list(`s3://${name}/`))).map((entry) => 'state' in entry && entry.state);
  expect(states).toEqual(['foreign', 'unreadable']);
});

test('another required encryption keeps the key of the default, and tells of what it ends', async () => {
  const name = await bareBucket();
  const key = 'arn:aws:kms:us-east-1:000000000000:key/theirs';
  const byDefault = { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: key } as const;
  await setEncryption(name, { ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled: true });
  const change = async (algorithm: string) => {
    let shown: Change | undefined;
    const approve = (changes: readonly Change[]) => {
      shown = changes.find(({ setting }) => setting === 'encryption');
      return false;
    };
    const { findings } = await fix(name, { requireSse: { algorithm }, approve });
    expect(findings.find(({ check }) => check === 'require-sse')?.found).toMatch(/the check sse-c has to be closed/);
    return shown!;
  };
  const dsse = await change('aws:kms:dsse');
  expect(dsse.after).toMatchObject({ ApplyServerSideEncryptionByDefault: { KMSMasterKeyID: key } });
  expect(dsse.after).not.toHaveProperty('BucketKeyEnabled');
  expect(dsse.consequences.join(' ')).toMatch(/DSSE-KMS has no bucket key/);
  const ofS3 = await change('AES256');
  expect(ofS3.after).toMatchObject({ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } });
  expect(ofS3.consequences.join(' ')).toContain(`no longer encrypted under the key ${key}`);
});

test('a required tag is asked of every request that writes, parts too, as doctor says before', async () => {
  const name = await bareBucket();
  const requireTag = { name: 'sealed', value: 'yes' };
  let told = '';
  const approve: DoctorRequest['approve'] = (changes) => {
    told = changes.flatMap(({ consequences }) => consequences).join('\n');
    return true;
  };
  await fix(name, { requireTag, approve });
  expect(told).toMatch(/more than one part would be refused/);
  const put = (size: number, tags = {}) => {
    const { source } = stage.plot(`tagged-${size}`, size);
    return stage.shared.put({ source, target: `s3://${name}/${size}`, partSize: PART_SIZE, tags });
  };
  await expect(put(100)).rejects.toMatchObject({ code: 'policy-denied' });
  await put(100, { sealed: 'yes' });
  await expect(put(PART_SIZE + 1, { sealed: 'yes' })).rejects.toMatchObject({ code: 'policy-denied' });
});

test('uploads in progress are told with whose they are and what they keep', async () => {
  const plot = stage.plot('interrupted');
  await stage.failedPut(plot, PART_2_FAILS, 'store-unavailable');
  const begin = async (Key: string, more: object = {}) => {
    const { UploadId } = await stage.s3.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key, ...more }));
    await stage.s3.send(new UploadPartCommand({ Bucket: BUCKET, Key, UploadId, PartNumber: 1, Body: 'abc' }));
  };
  await begin("it's theirs", { ChecksumAlgorithm: 'CRC32', ChecksumType: 'COMPOSITE' });
  await begin('perhaps', { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' });
  const { uploads } = await look(BUCKET);
  const job = stage.shared.jobs().find((job) => 'target' in job && job.target === plot.target);
  const told = Object.fromEntries(uploads.map((upload) => [upload.object.split('/').at(-1)!, upload]));
  expect(told.interrupted).toMatchObject({
    owner: 'ours',
    job: job!.id,
    remedy: expect.stringContaining(`sealift resume ${job!.id}`),
  });
  expect(told.interrupted!.storedBytes).toBeGreaterThanOrEqual(PART_SIZE);
  expect(told.perhaps).toMatchObject({ owner: 'perhaps-ours', storedBytes: 3 });
  expect(told["it's theirs"]).toMatchObject({ owner: 'other', storedBytes: 3 });
  expect(told["it's theirs"]!.remedy).toMatch(
    /abort-multipart-upload --bucket bucket --key 'it'\\''s theirs' --upload-id/,
  );
});

test('of more uploads than are looked into it is known that there are more', async () => {
  const name = await bareBucket();
  const upload = (Key: string) => stage.s3.send(new CreateMultipartUploadCommand({ Bucket: name, Key }));
  await upload('first');
  const { settings, credentials } = await resolveStore({ bucket: name, key: '' }, {});
  const store = await openStore(settings, { credentials, onRetry: () => {}, bandwidth: undefined });
  const bucket = await openBucket({ settings, credentials });
  const find = () => findUploads({ bucket, store, bucketName: name }, { stateDir: stage.folder, maxCount: 1 });
  expect(await find()).toMatchObject({ uploads: [{ object: `s3://${name}/first` }], hasMore: false });
  await upload('second');
  expect(await find()).toMatchObject({ uploads: [{ object: `s3://${name}/first` }], hasMore: true });
  store.close();
  bucket.close();
});

test.each<[what: string, request: Partial<DoctorRequest>, code: string]>([
  ['an object', { bucket: 's3://bucket/key' }, 'bad-url'],
  ['a directory', { bucket: 'file:///tmp/' }, 'bad-url'],
  ['no bucket', { bucket: 's3://nowhere' }, 'bucket-not-found'],
  ['a check that there is not', { skip: ['everything'] }, 'bad-option'],
  ['an alias as the key', { requireSse: { algorithm: 'aws:kms', keyId: 'alias/a' } }, 'bad-option'],
  ['two ways that exclude each other', { requireSse: { algorithm: 'aws:kms' }, allowSseC: true }, 'bad-option'],
])('%s is refused', async (_what, request, code) => {
  await expect(look(BUCKET, request)).rejects.toMatchObject({ code });
});

const lacksTerminal = spawnSync('script', ['--version']).error !== undefined;

test.skipIf(lacksTerminal).each([
  ['No is no', 'n\n', 3, /gap {6}transport: .*\r?\n {9}Whoever.*\r?\n {9}> Add to[\s\S]*8 gaps/],
  ['Ctrl-C ends it', '\x03', 4, /Changed before it: nothing \(interrupted\)/],
])('on a terminal --fix asks, and %s (skipped where script is not there)', async (_what, answer, status, end) => {
  const name = await bareBucket();
  const bin = join(import.meta.dirname, '../../src/cli/bin.ts');
  const command = `${process.execPath} ${bin} doctor s3://${name} --fix`;
  const env = { ...process.env, ...stage.sandbox.env, TERM: 'dumb' };
  const script = spawn('script', ['-qefc', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  let told = '';
  script.stdout.on('data', (chunk: Buffer) => {
    told += chunk;
    if (told.includes('[y/N]') && script.stdin.writable) script.stdin.end(answer);
  });
  const [exit] = await once(script, 'close');
  expect([exit, told]).toEqual([status, expect.stringMatching(/policy: these statements[\s\S]*Make 6 changes\?/)]);
  expect(told).toMatch(end);
  expect(operationsOn(name).filter((operation) => operation.startsWith('Put'))).toEqual(['PutBucketEncryption']);
});

test('on the command line --fix alone takes a terminal; with --yes it does not ask, and without gaps the status is 0', async () => {
  const name = await bareBucket();
  await setPolicy(name, olderOfOurs(name));
  const { env } = stage.sandbox;
  const unasked = await run(['doctor', `s3://${name}`, '--fix', '--json'], { env });
  expect([unasked.exit, unasked.last]).toMatchObject([2, { code: 'usage' }]);
  const pointless = await runHere(['doctor', `s3://${name}`, '--yes', '--json'], { env });
  expect([pointless.exit, pointless.last]).toMatchObject([2, { code: 'usage' }]);
  const fixed = await runHere(['doctor', `s3://${name}`, '--fix', '--yes', '--json'], { env });
  expect([fixed.exit, fixed.last]).toMatchObject([0, { command: 'doctor', gaps: 0, unknown: 0, fixed: 6 }]);
  expect(fixed.last?.applied).toHaveLength(6);
  expect(fixed.lines.filter(({ type }) => type === 'change').length).toBe(6);
  expect(fixed.stderr).toContain('policy: these statements are put into it');
  expect(fixed.stderr).toContain('\n  in place of {"Sid":"SealiftDenyOldTls"');
  const s3 = clientOf(stage.sandbox);
  expect(await outcome(s3.send(new PutObjectCommand({ Bucket: name, Key: 'k', Body: 'x' })))).toBe('ok');
  s3.destroy();
});
