/** Policies, as functions: whether a statement denies what it should, and what merging does to the statements of others. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { demandsOf } from '../../src/doctor/demands.ts';
import { DENIALS } from '../../src/doctor/denials.ts';
import { coverage, type Statement, statementsOf, withStatement } from '../../src/doctor/policy.ts';
import { denies, parsePolicy } from '../../src/sandbox/s3/policy.ts';
import { partitionOf } from '../../src/stores/partitions.ts';

const BUCKET = 'bucket';
const ARN = `arn:aws:s3:::${BUCKET}`;
const ALL = { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: [ARN, `${ARN}/*`] };
const HTTP = { Sid: 'NoHttp', ...ALL, Condition: { Bool: { 'aws:SecureTransport': 'false' } } };
const OLD_TLS = { Sid: 'NoOldTls', ...ALL, Condition: { NumericLessThan: { 's3:TlsVersion': '1.2' } } };
const wishes = { bucket: BUCKET, partition: 'aws', plainHttp: false, allowSseC: false };

const policyOf = (...Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
const judge = (name: string, policy: string | undefined) =>
  DENIALS.find((denial) => denial.name === name)!.judge(policy, wishes);

describe('a statement', () => {
  const mixed = { Bool: { 'aws:SecureTransport': 'false' }, NumericLessThan: { 's3:TlsVersion': '1.2' } };
  test.each<[what: string, name: string, statement: object]>([
    ['as AWS writes it', 'transport', HTTP],
    ['of a boolean', 'transport', { ...HTTP, Condition: { Bool: { 'aws:SecureTransport': [false] } } }],
    ['of every principal in other words', 'transport', { ...HTTP, Principal: { AWS: ['*'] } }],
    ['of wider names', 'transport', { ...HTTP, Action: '*', Resource: `${ARN}*` }],
    ['of everything', 'transport', ALL],
    ['of a key in small letters', 'transport', { ...HTTP, Condition: { Bool: { 'aws:securetransport': 'false' } } }],
    [
      'of what may be absent',
      'transport',
      { ...HTTP, Condition: { BoolIfExists: { 'aws:SecureTransport': 'false' } } },
    ],
    ['of services too', 'tls', OLD_TLS],
    ['of a newer version', 'tls', { ...OLD_TLS, Condition: { NumericLessThan: { 's3:TlsVersion': 1.3 } } }],
  ])('%s denies it: %s', (_what, name, statement) => {
    expect(judge(name, policyOf(statement)).mended).toBeUndefined();
  });

  test.each<[what: string, name: string, statement: object, told: RegExp]>([
    ['allows', 'transport', { ...HTTP, Effect: 'Allow' }, /^Plain HTTP is not denied$/],
    ['is about something else', 'tls', HTTP, /^TLS older than 1.2 is not denied$/],
    ['is for some', 'transport', { ...HTTP, Principal: { AWS: 'arn:aws:iam::111122223333:root' } }, /every principal/],
    ['is of reads alone', 'transport', { ...HTTP, Action: 's3:GetObject' }, /actions/],
    ['leaves the bucket out', 'transport', { ...HTTP, Resource: `${ARN}/*` }, /the bucket and all of its objects/],
    ['leaves objects out', 'transport', { ...HTTP, Resource: ARN }, /the bucket and all of its objects/],
    [
      'is of an older version',
      'tls',
      { ...OLD_TLS, Condition: { NumericLessThan: { 's3:TlsVersion': '1.1' } } },
      /1\.1/,
    ],
    ['asks for both at once', 'transport', { ...HTTP, Condition: mixed }, /NumericLessThan s3:tlsversion 1\.2/],
    ['asks for both at once', 'tls', { ...HTTP, Condition: mixed }, /Bool aws:securetransport false/],
  ])('that %s does not: %s', (_what, name, statement, told) => {
    const { found, mended } = judge(name, policyOf(statement));
    expect(found).toMatch(told);
    expect(coverage(mended, statementsOf(mended).at(-1) as never).by).toMatch(/Sealift/);
  });
});

describe('a merged policy', () => {
  const values = <Value>(...all: Value[]) => fc.constantFrom(...all);
  const statement = fc.record(
    {
      Sid: values('a', 'b', 'c', 'd', 'SealiftSomething'),
      Effect: values('Allow', 'Deny'),
      Principal: values<unknown>('*', { AWS: '*' }, { AWS: '000000000000' }, { AWS: ['111122223333'] }),
      Action: values<string | string[]>('s3:*', 's3:GetObject', ['s3:PutObject', 's3:Get*']),
      Resource: values<string | string[]>(`${ARN}/*`, [ARN, `${ARN}/a*`], '*'),
      Condition: values<object>(
        { Bool: { 'aws:SecureTransport': 'false' } },
        { Bool: { 'aws:SecureTransport': 'true' }, StringLike: { 's3:prefix': 'a*' } },
        { StringNotEquals: { 's3:x-amz-server-side-encryption': ['AES256', 'aws:kms'] } },
      ),
    },
    { requiredKeys: ['Effect', 'Principal', 'Action', 'Resource'] },
  );
  const statements = fc.uniqueArray(statement, {
    minLength: 1,
    maxLength: 5,
    selector: ({ Sid }) => Sid ?? Math.random(),
  });
  const request = fc.record({
    action: values('s3:GetObject', 's3:PutObject'),
    resource: values(`${ARN}/a`, `${ARN}/b`),
    principal: values({ arn: 'arn:aws:iam::000000000000:user/u', accountId: '000000000000' }),
    facts: fc
      .record(
        {
          'aws:securetransport': values('true', 'false'),
          's3:prefix': values('a', 'b'),
          's3:x-amz-server-side-encryption': values('AES256', 'x'),
        },
        { requiredKeys: ['aws:securetransport'] },
      )
      .map((facts) => new Map(Object.entries(facts).map(([key, value]) => [key, [String(value)]]))),
  });
  const wanted = { ...HTTP, Sid: 'SealiftDenyInsecureTransport' };
  const read = (policy: string) => parsePolicy(policy, BUCKET);

  test('says what it said, and Deny to what is wanted besides', () => {
    fc.assert(
      fc.property(statements, fc.boolean(), request, (Statement, isOne, asked) => {
        const before = JSON.stringify({
          Version: '2008-10-17',
          Id: 'theirs',
          Statement: isOne ? Statement[0] : Statement,
        });
        const after = withStatement(before, wanted);
        expect(JSON.parse(after)).toMatchObject({ Version: '2008-10-17', Id: 'theirs' });
        expect(statementsOf(after)).toEqual([...statementsOf(before), wanted]);
        const isWanted = asked.facts.get('aws:securetransport')!.includes('false');
        expect(denies(read(after), asked)).toBe(denies(read(before), asked) || isWanted);
        expect(withStatement(after, wanted)).toBe(after);
      }),
    );
  });

  test('has one statement of ours in the place of its older self', () => {
    const older = { ...wanted, Condition: { Bool: { 'aws:SecureTransport': 'true' } } } as Statement;
    const after = withStatement(policyOf({ Sid: 'a' }, older, { Sid: 'b' }), wanted);
    expect(statementsOf(after)).toEqual([{ Sid: 'a' }, wanted, { Sid: 'b' }]);
    expect(statementsOf(withStatement(undefined, wanted))).toEqual([wanted]);
  });
});

test('what a policy demands of puts is told with the flag that meets it', () => {
  const puts = { ...ALL, Action: ['s3:PutObject'], Resource: `${ARN}/*` };
  const unlike = (key: string, value: string) => ({ ...puts, Condition: { StringNotEquals: { [key]: value } } });
  const sse = 's3:x-amz-server-side-encryption';
  const remedies = demandsOf(
    policyOf(
      HTTP,
      unlike(sse, 'aws:kms:dsse'),
      unlike(`${sse}-aws-kms-key-id`, 'arn:k'),
      unlike('s3:RequestObjectTag/sealed', 'yes'),
      unlike('S3:requestobjecttag/Owner', 'Me'),
      { ...puts, Condition: { Null: { [sse]: 'true' } } },
      { ...puts, Condition: { Null: { 's3:RequestObjectTag/Kept': [true] } } },
      { ...puts, Condition: { ArnNotLikeIfExists: { [`${sse}-aws-kms-key-id`]: 'arn:*' } } },
      // What it spares is what has none.
      { ...puts, Condition: { Null: { [sse]: 'false' } } },
      { ...unlike(sse, 'AES256'), Effect: 'Allow' },
      { ...unlike(sse, 'AES256'), Action: 's3:GetObject' },
    ),
  ).map(({ remedy }) => remedy);
  expect(remedies.map((remedy) => remedy.replace('Put with ', ''))).toEqual([
    '--sse dsse',
    '--sse kms:arn:k',
    '--tag sealed=yes',
    '--tag Owner=Me',
    '--sse s3, kms or dsse',
    '--tag Kept=VALUE',
    '--sse kms:arn:*',
  ]);
});

test.each([
  ['eu-central-1', 'aws'],
  ['cn-north-1', 'aws-cn'],
  ['us-gov-west-1', 'aws-us-gov'],
  ['eusc-de-east-1', 'aws-eusc'],
  ['us-iso-east-1', 'aws-iso'],
  ['us-isob-east-1', 'aws-iso-b'],
  ['eu-isoe-west-1', 'aws-iso-e'],
  ['us-isof-south-1', 'aws-iso-f'],
])('the Region %s is in the partition %s', (region, partition) => {
  expect(partitionOf(region)).toBe(partition);
});
