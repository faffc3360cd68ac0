/** What a bucket's policy is to deny, a statement each, and whether it does. */
import type { Check, Wishes } from './check.ts';
import { coverage, type WantedStatement, withStatement } from './policy.ts';

export const DENIALS: readonly Check<'policy'>[] = [
  denial({
    name: 'transport',
    what: 'Plain HTTP',
    why: 'Whoever sits on the line reads names, metadata and listings, and may send a recorded request again.',
    wanted: (wishes) => ({
      Sid: 'SealiftDenyInsecureTransport',
      ...denyAll(wishes),
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    }),
    // Who is spoken to by HTTP alone could never take the statement back.
    consequence: 'Clients over plain HTTP are refused.',
    obstacle: ({ plainHttp }) =>
      plainHttp
        ? 'This connection is plain HTTP and would be denied too: use an https:// endpoint, then --fix.'
        : undefined,
  }),
  denial({
    name: 'tls',
    what: 'TLS older than 1.2',
    why: 'TLS 1.0 and 1.1 are broken. In one statement with aws:SecureTransport it would deny nothing: an HTTP request has no TLS version.',
    wanted: (wishes) => ({
      Sid: 'SealiftDenyOldTls',
      ...denyAll(wishes),
      // A request that an AWS service makes for somebody has no TLS version of theirs.
      Condition: { NumericLessThan: { 's3:TlsVersion': '1.2' }, Bool: { 'aws:PrincipalIsAWSService': 'false' } },
    }),
    consequence: 'Clients with TLS 1.0 or 1.1 are refused.',
  }),
  denial({
    name: 'require-sse',
    what: 'Another encryption at rest than the one required',
    why: 'A request that names an encryption of its own is not held to the default.',
    wanted: (wishes) => wishes.requireSse && denyOtherSse(wishes, wishes.requireSse.algorithm),
    consequence: 'Puts that ask for another encryption at rest are refused.',
    limit: 'SSE-C names none of them and passes: the check sse-c has to be closed too',
  }),
  denial({
    name: 'require-sse-key',
    what: 'Another KMS key than the one required',
    why: "A request that names SSE-KMS and no key gets the account's own, aws/s3.",
    wanted: (wishes) =>
      wishes.requireSse?.keyId === undefined ? undefined : denyOtherKey(wishes, wishes.requireSse.keyId),
    consequence: 'Puts that ask for an encryption at rest, and not for this very key by its ARN, are refused.',
  }),
  denial({
    name: 'require-tag',
    what: 'A put without the required tag',
    why: 'A tag proves intent, not encryption: anybody who may write can give it.',
    wanted: ({ requireTag, ...wishes }) =>
      requireTag && {
        Sid: 'SealiftRequireTag',
        ...denyPuts(wishes),
        Condition: { StringNotEquals: { [`s3:RequestObjectTag/${requireTag.name}`]: requireTag.value } },
      },
    consequence:
      'S3 has been seen to ask this of every part of an upload too, and parts carry no tags (boto/boto3#2675): objects of more than one part would be refused. Only for a bucket of small objects.',
  }),
];

function denyAll({ partition, bucket }: Wishes) {
  const arn = `arn:${partition}:s3:::${bucket}`;
  return { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: [arn, `${arn}/*`] };
}

function denyPuts({ partition, bucket }: Wishes) {
  return { Effect: 'Deny', Principal: '*', Action: 's3:PutObject', Resource: `arn:${partition}:s3:::${bucket}/*` };
}

const SSE = 's3:x-amz-server-side-encryption';

/**
 * Only of requests that name an encryption. The others have the default, and the parts of an upload, which never name
 * one, would be denied as well: a negated operator holds where there is no such key.
 */
function denyOtherSse(wishes: Wishes, algorithm: string): WantedStatement {
  const Condition = { Null: { [SSE]: 'false' }, StringNotEquals: { [SSE]: algorithm } };
  return { Sid: 'SealiftRequireSse', ...denyPuts(wishes), Condition };
}

function denyOtherKey(wishes: Wishes, keyId: string): WantedStatement {
  const Condition = { Null: { [SSE]: 'false' }, StringNotEquals: { [`${SSE}-aws-kms-key-id`]: keyId } };
  return { Sid: 'SealiftRequireSseKey', ...denyPuts(wishes), Condition };
}

/** A check that the policy denies something. */
function denial(options: {
  name: string;
  /** What is to be denied, as the beginning of a sentence. */
  what: string;
  why: string;
  /** Undefined where that is not wished. */
  wanted(wishes: Wishes): WantedStatement | undefined;
  /** What the statement does that its reader might not want. */
  consequence: string;
  /** What it leaves open. */
  limit?: string;
  obstacle?(wishes: Wishes): string | undefined;
}): Check<'policy'> {
  const { name, what, why, consequence, limit } = options;
  const told = (...facts: (string | undefined)[]) => [...facts, limit].filter((fact) => fact !== undefined).join('. ');
  return {
    name,
    setting: 'policy',
    why,
    isWanted: (wishes) => options.wanted(wishes) !== undefined,
    judge(policy, wishes) {
      const wanted = options.wanted(wishes)!;
      const { by, lacking } = coverage(policy, wanted);
      if (by !== undefined) return { found: told(`${what} is denied`, `${by} does it`) };
      const found = told(`${what} is not denied`, lacking);
      const remedy = options.obstacle?.(wishes);
      if (remedy !== undefined) return { found, remedy };
      return { found, mended: withStatement(policy, wanted), consequence };
    },
  };
}
