/**
 * A bucket policy as a document: read, checked as S3 checks it when it is put, and matched against a request
 * (IAM/latest/UserGuide/reference_policies_elements.html; userguide/bucket-policies.html).
 */
import { S3Error } from './errors.ts';
import { type Condition, checkCondition, type Facts, holds, like } from './policy-conditions.ts';

/** Which request, by whom. */
export interface PolicyRequest {
  /** `s3:PutObject`. */
  readonly action: string;
  /** An ARN. */
  readonly resource: string;
  readonly principal: { readonly arn: string; readonly accountId: string };
  readonly facts: Facts;
}

export interface Policy {
  readonly statements: readonly Statement[];
}

interface Statement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal?: Principal;
  readonly NotPrincipal?: Principal;
  readonly Action?: OneOrMore;
  readonly NotAction?: OneOrMore;
  readonly Resource?: OneOrMore;
  readonly NotResource?: OneOrMore;
  readonly Condition?: Condition;
}

type OneOrMore = string | readonly string[];
type Principal = '*' | Readonly<Record<string, OneOrMore>>;

/** userguide/bucket-policies.html: "Bucket policies are limited to 20 KB in size." */
const SIZE_LIMIT = 20 * 1024;
const ELEMENTS = [
  'Sid',
  'Effect',
  'Principal',
  'NotPrincipal',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
];

/** Throws MalformedPolicy, with S3's words where they are known. */
export function parsePolicy(text: string, bucket: string): Policy {
  if (Buffer.byteLength(text) > SIZE_LIMIT) throw malformed('Policy exceeds the maximum allowed document size.');
  const document = parseJson(text);
  if (document.Version !== undefined && document.Version !== '2012-10-17' && document.Version !== '2008-10-17') {
    throw malformed('The policy must contain a valid version string');
  }
  const statements = listOf(document.Statement as Statement | Statement[] | undefined);
  if (statements.length === 0) throw malformed('Missing required field Statement');
  for (const statement of statements) checkStatement(statement, bucket);
  const sids = statements.flatMap(({ Sid }) => (Sid === undefined ? [] : [Sid]));
  if (new Set(sids).size < sids.length) throw malformed('Statement IDs (SID) in a single policy must be unique.');
  return { statements };
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const document: unknown = JSON.parse(text);
    if (document !== null && typeof document === 'object' && !Array.isArray(document)) return { ...document };
  } catch {
    // Falls through to the answer for all that is no JSON object.
  }
  throw malformed("Policies must be valid JSON and the first byte must be '{'");
}

function checkStatement(statement: Statement, bucket: string): void {
  const unknown = Object.keys(statement).find((name) => !ELEMENTS.includes(name));
  if (unknown !== undefined) throw malformed(`Unknown field ${unknown}`);
  const { Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition = {} } = statement;
  if (Effect !== 'Allow' && Effect !== 'Deny') throw malformed(`Invalid effect: ${Effect}`);
  requireOne(Principal, NotPrincipal, 'Principal');
  requireOne(Action, NotAction, 'Action');
  requireOne(Resource, NotResource, 'Resource');
  if (!listOf(Action ?? NotAction).every((action) => /^(\*|s3:[\w*?]+)$/i.test(action))) {
    throw malformed('Policy has invalid action');
  }
  const resources = listOf(Resource ?? NotResource);
  const arn = `arn:aws:s3:::${bucket}`;
  if (!resources.every((resource) => resource === arn || resource.startsWith(`${arn}/`) || resource === '*')) {
    throw malformed('Policy has invalid resource');
  }
  if (Action !== undefined && Resource !== undefined) checkActionsFit(listOf(Action), resources);
  for (const principal of Principal === undefined || Principal === '*' ? [] : listOf(Principal.AWS)) {
    if (!/^(\*|\d{12}|arn:aws:(iam|sts)::\d{12}:\S+)$/.test(principal)) throw malformed('Invalid principal in policy');
  }
  checkCondition(Condition);
}

function requireOne(element: unknown, opposite: unknown, name: string): void {
  if ((element === undefined) === (opposite === undefined)) throw malformed(`Missing required field ${name}`);
}

/**
 * S3 says "Action does not apply to any resource(s) in statement" of object actions on a bucket, and the other way round
 * (userguide/troubleshoot-403-errors.html tells both apart). Only actions written in full can be judged here.
 */
function checkActionsFit(actions: readonly string[], resources: readonly string[]): void {
  const objects = resources.some((resource) => resource === '*' || resource.includes('/'));
  const buckets = resources.some((resource) => resource === '*' || !resource.includes('/'));
  for (const action of actions) {
    if (action.includes('*') || action.includes('?')) continue;
    const isOfObjects = /Object|MultipartUploadParts$|^s3:AbortMultipartUpload$/i.test(action);
    if (isOfObjects ? !objects : !buckets) throw malformed('Action does not apply to any resource(s) in statement');
  }
}

function malformed(message: string): S3Error {
  return new S3Error('MalformedPolicy', message);
}

/** Whether a statement says Deny to this request: that decides, whoever is allowed what. */
export function denies({ statements }: Policy, request: PolicyRequest): boolean {
  return statements.some((statement) => statement.Effect === 'Deny' && applies(statement, request));
}

/** Whether everybody is allowed something (userguide/access-control-block-public-access.html, in its simplest form). */
export function isPublic({ statements }: Policy): boolean {
  return statements.some(
    ({ Effect, Principal, Condition }) => Effect === 'Allow' && Condition === undefined && isEverybody(Principal),
  );
}

function isEverybody(principal: Principal | undefined): boolean {
  return principal === '*' || (principal !== undefined && listOf(principal.AWS).includes('*'));
}

function applies(statement: Statement, { action, resource, principal, facts }: PolicyRequest): boolean {
  const { Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition = {} } = statement;
  const isNamed = (named: Principal) =>
    isEverybody(named) || listOf((named as Record<string, OneOrMore>).AWS).some((one) => covers(one, principal));
  // Actions are compared without regard to case, resources are not.
  const isAction = (named: OneOrMore) =>
    listOf(named).some((pattern) => like(action.toLowerCase(), pattern.toLowerCase()));
  const isResource = (named: OneOrMore) => listOf(named).some((pattern) => like(resource, pattern));
  return (
    either(Principal, NotPrincipal, isNamed) &&
    either(Action, NotAction, isAction) &&
    either(Resource, NotResource, isResource) &&
    holds(Condition, facts)
  );
}

/** An element, or the opposite that stands in its place. */
function either<Element>(
  element: Element | undefined,
  opposite: Element | undefined,
  isMet: (element: Element) => boolean,
): boolean {
  return element === undefined ? !isMet(opposite!) : isMet(element);
}

/** An account stands for everybody in it. */
function covers(named: string, { arn, accountId }: PolicyRequest['principal']): boolean {
  return named === arn || named === accountId || named === `arn:aws:iam::${accountId}:root`;
}

function listOf<Item>(items: Item | readonly Item[] | undefined): readonly Item[] {
  if (items === undefined) return [];
  return Array.isArray(items) ? items : [items as Item];
}
