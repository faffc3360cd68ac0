/** What a statement says to a request. That requests are asked at all is in the contract (contract.py). */
import https from 'node:https';
import {
  CreateBucketCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { denies, parsePolicy } from '../../src/sandbox/s3/policy.ts';
import { holds } from '../../src/sandbox/s3/policy-conditions.ts';
import { BUCKET, clientOf, openSandbox, outcome, type TestSandbox } from './s3-client.ts';

const ARN = `arn:aws:s3:::${BUCKET}`;
const DENY = { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: [ARN, `${ARN}/*`] };
const USER = { arn: 'arn:aws:iam::000000000000:user/sandbox', accountId: '000000000000' };
const GET = { action: 's3:GetObject', resource: `${ARN}/a/b`, principal: USER, facts: new Map() };

const isDenied = (statement: object, request = GET) =>
  denies(parsePolicy(JSON.stringify({ Version: '2012-10-17', Statement: { ...DENY, ...statement } }), BUCKET), request);

describe('a statement', () => {
  it.each<[what: string, statement: object, expected: boolean]>([
    ['of all', {}, true],
    ['that allows', { Effect: 'Allow' }, false],
    ['of this action, in capitals', { Action: ['s3:PUTOBJECT', 'S3:GETOBJECT'] }, true],
    ['of actions like it', { Action: 's3:Get*', Resource: `${ARN}/*` }, true],
    ['of another action', { Action: 's3:PutObject' }, false],
    ['of a longer action', { Action: 's3:GetObjectTagging' }, false],
    ['of all but this action', { Action: undefined, NotAction: 's3:GetObject' }, false],
    ['of all but another action', { Action: undefined, NotAction: 's3:PutObject' }, true],
    ['of the bucket alone', { Resource: ARN }, false],
    ['of a prefix', { Resource: `${ARN}/a/*` }, true],
    ['of another prefix', { Resource: `${ARN}/A/*` }, false],
    ['of all but this object', { Resource: undefined, NotResource: `${ARN}/a/?` }, false],
    ['of everybody, in AWS words', { Principal: { AWS: '*' } }, true],
    ['of the account', { Principal: { AWS: [USER.accountId] } }, true],
    ["of the account's root", { Principal: { AWS: `arn:aws:iam::${USER.accountId}:root` } }, true],
    ['of the user', { Principal: { AWS: USER.arn } }, true],
    ['of another', { Principal: { AWS: 'arn:aws:iam::111111111111:root' } }, false],
    ['of a service', { Principal: { Service: 'logging.s3.amazonaws.com' } }, false],
    ['of all but the user', { Principal: undefined, NotPrincipal: { AWS: USER.arn } }, false],
  ])('%s', (_what, statement, expected) => expect(isDenied(statement)).toBe(expected));

  it.each<[what: string, statement: object]>([
    ['an element that there is not', { Actions: 's3:*' }],
    ['no effect', { Effect: 'deny' }],
    ['no principal', { Principal: undefined }],
    ['actions twice', { NotAction: 's3:*' }],
    ['a bucket action of objects alone', { Action: 's3:ListBucket', Resource: `${ARN}/*` }],
    ['a condition without values', { Condition: { Bool: { 'aws:SecureTransport': [] } } }],
  ])('with %s is refused', (_what, statement) => {
    expect(() => isDenied(statement)).toThrow();
  });

  it('stands in a document of JSON, has a name of its own, and not too many neighbours', () => {
    for (const text of ['', 'no', '[]', '{}']) expect(() => parsePolicy(text, BUCKET)).toThrow();
    const parse = (Statement: object[]) => () => parsePolicy(JSON.stringify({ Statement }), BUCKET);
    expect(
      parse([
        { ...DENY, Sid: 'a' },
        { ...DENY, Sid: 'a' },
      ]),
    ).toThrow(/unique/);
    expect(parse(Array(200).fill(DENY))).toThrow(/size/);
  });
});

describe('a condition', () => {
  const facts = new Map([
    ['aws:securetransport', ['true']],
    ['s3:tlsversion', ['1.2']],
    ['s3:prefix', ['a/b']],
    ['s3:requestobjecttagkeys', ['one', 'two']],
  ]);
  it.each<[operator: string, key: string, values: unknown, expected: boolean]>([
    ['Bool', 'aws:SecureTransport', true, true],
    ['Bool', 'aws:SecureTransport', 'false', false],
    ['Bool', 'aws:PrincipalIsAWSService', 'false', false],
    ['BoolIfExists', 'aws:PrincipalIsAWSService', 'false', true],
    ['NumericLessThan', 's3:TlsVersion', 1.2, false],
    ['NumericLessThan', 's3:TlsVersion', ['1.3'], true],
    ['NumericGreaterThanEquals', 's3:TlsVersion', '1.2', true],
    ['StringEquals', 's3:prefix', ['x', 'a/b'], true],
    ['StringEquals', 's3:prefix', 'A/B', false],
    ['StringEqualsIgnoreCase', 's3:prefix', 'A/B', true],
    ['StringLike', 's3:prefix', 'a/*', true],
    ['StringNotLike', 's3:prefix', 'a/*', false],
    ['StringNotEquals', 's3:prefix', 'x', true],
    ['StringEquals', 's3:x-amz-acl', 'x', false],
    // A negated operator holds where there is no such key, with IfExists and without.
    ['StringNotEquals', 's3:x-amz-acl', 'x', true],
    ['StringNotEqualsIfExists', 's3:x-amz-acl', 'x', true],
    ['StringEqualsIfExists', 's3:x-amz-acl', 'x', true],
    ['Null', 's3:x-amz-acl', 'true', true],
    ['Null', 's3:prefix', true, false],
    ['ForAnyValue:StringEquals', 's3:RequestObjectTagKeys', 'two', true],
    ['ForAllValues:StringEquals', 's3:RequestObjectTagKeys', 'two', false],
    ['ForAllValues:StringEquals', 's3:x-amz-acl', 'two', true],
    ['ForAnyValue:StringEquals', 's3:x-amz-acl', 'two', false],
  ])('%s %s %j', (operator, key, values, expected) => {
    expect(holds({ [operator]: { [key]: values } }, facts)).toBe(expected);
  });

  it('holds only as a whole', () => {
    const both = { Bool: { 'aws:SecureTransport': 'true' }, NumericLessThan: { 's3:TlsVersion': '1.2' } };
    expect(holds(both, facts)).toBe(false);
    expect(holds({}, facts)).toBe(true);
  });
});

describe('a bucket with a policy', () => {
  let test: TestSandbox;
  beforeAll(async () => {
    test = await openSandbox({ https: true });
  });
  afterAll(() => test.close());

  const setPolicy = (...Statement: object[]) =>
    test.s3.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy: JSON.stringify({ Statement }) }));
  const put = (Key: string, s3 = test.s3) => outcome(s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: 'x' })));

  it('is asked for the TLS that a request came by', async () => {
    await setPolicy({ ...DENY, Action: 's3:PutObject', Condition: { NumericLessThan: { 's3:TlsVersion': '1.3' } } });
    const httpsAgent = new https.Agent({ maxVersion: 'TLSv1.2', rejectUnauthorized: false });
    const old = clientOf(test.sandbox, { requestHandler: { httpsAgent } });
    expect([await put('tls'), await put('tls', old)]).toEqual(['ok', 'AccessDenied 403']);
    old.destroy();
  });

  it('is asked for each key of a DeleteObjects, and for both ends of a copy', async () => {
    await test.s3.send(new DeleteBucketPolicyCommand({ Bucket: BUCKET }));
    await put('kept/a');
    await put('b');
    const Resource = `${ARN}/kept/*`;
    await setPolicy({ ...DENY, Action: ['s3:DeleteObject', 's3:GetObject'], Resource });
    const Delete = { Objects: [{ Key: 'kept/a' }, { Key: 'b' }] };
    const { Deleted, Errors } = await test.s3.send(new DeleteObjectsCommand({ Bucket: BUCKET, Delete }));
    expect([Deleted, Errors]).toMatchObject([[{ Key: 'b' }], [{ Key: 'kept/a', Code: 'AccessDenied' }]]);
    const refusal = test.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'kept/a' }));
    await expect(refusal).rejects.toThrow(/s3:GetObject on resource.*explicit deny in a resource-based policy/);
  });

  it('may be public only where that is not blocked', async () => {
    const allow = { ...DENY, Effect: 'Allow', Action: 's3:GetObject', Resource: `${ARN}/*` };
    expect(await outcome(setPolicy(allow))).toBe('AccessDenied 403');
    const some = { ...allow, Principal: { AWS: USER.arn } };
    expect(await outcome(setPolicy(some))).toBe('ok');
    expect(await outcome(test.s3.send(new CreateBucketCommand({ Bucket: BUCKET })))).toBe('ok');
    // Made again it is as it was.
    expect(await outcome(setPolicy(allow))).toBe('AccessDenied 403');
  });
});
