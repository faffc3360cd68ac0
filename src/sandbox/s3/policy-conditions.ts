/**
 * The Condition of a policy's statement: operators over what is known of a request, all of which must hold
 * (IAM/latest/UserGuide/reference_policies_elements_condition_operators.html).
 */
import { S3Error } from './errors.ts';

/** Operator, condition key, values. */
export type Condition = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What is known of a request, by condition key in lower case. A key that a request has not is not there. */
export type Facts = ReadonlyMap<string, readonly string[]>;

type Compare = (fact: string, wanted: string) => boolean;

const equals: Compare = (fact, wanted) => fact === wanted;
const equalsIgnoringCase: Compare = (fact, wanted) => fact.toLowerCase() === wanted.toLowerCase();
const numeric =
  (compare: (fact: number, wanted: number) => boolean): Compare =>
  (fact, wanted) =>
    compare(Number(fact), Number(wanted));

/** `negated`: true where no value matches, and so also where the request has no such key. */
interface Operator {
  readonly compare: Compare;
  readonly negated?: boolean;
}

const OPERATORS: Readonly<Record<string, Operator>> = {
  StringEquals: { compare: equals },
  StringNotEquals: { compare: equals, negated: true },
  StringEqualsIgnoreCase: { compare: equalsIgnoringCase },
  StringNotEqualsIgnoreCase: { compare: equalsIgnoringCase, negated: true },
  StringLike: { compare: like },
  StringNotLike: { compare: like, negated: true },
  ArnEquals: { compare: like },
  ArnLike: { compare: like },
  ArnNotEquals: { compare: like, negated: true },
  ArnNotLike: { compare: like, negated: true },
  NumericEquals: { compare: numeric((fact, wanted) => fact === wanted) },
  NumericNotEquals: { compare: numeric((fact, wanted) => fact === wanted), negated: true },
  NumericLessThan: { compare: numeric((fact, wanted) => fact < wanted) },
  NumericLessThanEquals: { compare: numeric((fact, wanted) => fact <= wanted) },
  NumericGreaterThan: { compare: numeric((fact, wanted) => fact > wanted) },
  NumericGreaterThanEquals: { compare: numeric((fact, wanted) => fact >= wanted) },
  Bool: { compare: equalsIgnoringCase },
};

/** Keys that requests have here, see requests of `authorize.ts`, or that no request to a loopback address ever has. */
const KEYS = [
  /^aws:(securetransport|principalisawsservice|principalarn|principalaccount|principaltype)$/,
  /^aws:(sourcevpce|sourcevpc|vpcsourceip|principalorgid|principalorgpaths|principalservicename|sourceaccount|sourcearn|calledvia)$/,
  /^s3:(tlsversion|x-amz-server-side-encryption(-aws-kms-key-id|-customer-algorithm)?|x-amz-storage-class|x-amz-acl)$/,
  /^s3:(requestobjecttagkeys|requestobjecttag\/.+|prefix|versionid|if-match|if-none-match)$/,
];

/** Throws MalformedPolicy, and NotImplemented for what S3 may know and this does not. */
export function checkCondition(condition: Condition): void {
  for (const [name, wanted] of Object.entries(condition)) {
    const { operator } = readOperator(name);
    if (operator !== 'Null' && OPERATORS[operator] === undefined) {
      throw /^(IpAddress|NotIpAddress|Binary|Date)/.test(operator)
        ? new S3Error('NotImplemented', `This sandbox does not evaluate ${operator}`)
        : new S3Error('MalformedPolicy', `Invalid Condition type : ${name}`);
    }
    for (const [key, values] of Object.entries(wanted)) {
      if (!KEYS.some((known) => known.test(key.toLowerCase()))) {
        throw /^aws:/i.test(key)
          ? new S3Error('NotImplemented', `This sandbox does not know the condition key ${key}`)
          : new S3Error('MalformedPolicy', 'Policy has an invalid condition key');
      }
      if (textsOf(values).length === 0) throw new S3Error('MalformedPolicy', 'Conditions must have values');
    }
  }
}

/** Whether all of a condition holds. */
export function holds(condition: Condition, facts: Facts): boolean {
  return Object.entries(condition).every(([name, wanted]) =>
    Object.entries(wanted).every(([key, values]) => test(name, facts.get(key.toLowerCase()), textsOf(values))),
  );
}

function test(name: string, found: readonly string[] | undefined, wanted: readonly string[]): boolean {
  const { set, operator, ifExists } = readOperator(name);
  if (operator === 'Null') return wanted.includes(String(found === undefined));
  const { compare, negated = false } = OPERATORS[operator]!;
  // "If the key is not present, evaluate the condition element as true", negated or not.
  if (found === undefined && ifExists) return true;
  const isMet = (fact: string) => wanted.some((value) => compare(fact, value)) !== negated;
  // "ForAllValues … returns true if there are no keys in the request".
  if (set === 'ForAllValues') return (found ?? []).every(isMet);
  if (set === 'ForAnyValue') return (found ?? []).some(isMet);
  return found === undefined ? negated : found.every(isMet);
}

/** `ForAnyValue:StringLikeIfExists` in its parts. */
function readOperator(name: string): { set: string | undefined; operator: string; ifExists: boolean } {
  const [, set, operator = '', suffix] = /^(?:(ForAnyValue|ForAllValues):)?(.*?)(IfExists)?$/.exec(name)!;
  return { set, operator, ifExists: suffix !== undefined };
}

function textsOf(values: unknown): string[] {
  return (Array.isArray(values) ? values : [values]).map(String);
}

/** `*` stands for any characters, `?` for one. */
export function like(text: string, pattern: string): boolean {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
