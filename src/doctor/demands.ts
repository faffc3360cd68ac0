/** What a bucket's policy demands of those who write, as far as it is told by what it denies. */
import { conditionsOf, nameOf, statementsOf } from './policy.ts';

const SSE = 's3:x-amz-server-side-encryption';
const MODES: Readonly<Record<string, string>> = { AES256: 's3', 'aws:kms': 'kms', 'aws:kms:dsse': 'dsse' };

/** Operators that hold of all values but some: what such a Deny spares is what it demands. */
const UNLESS = ['StringNotEquals', 'StringNotEqualsIgnoreCase', 'StringNotLike', 'ArnNotEquals', 'ArnNotLike'];

/** Each with the flag that meets it. */
export function demandsOf(policy: string | undefined): { found: string; remedy: string }[] {
  return statementsOf(policy)
    .filter(({ Effect, Action }) => Effect === 'Deny' && isOfPuts(Action))
    .flatMap((statement) =>
      conditionsOf(statement.Condition ?? {}).flatMap(({ operator, key, writtenKey, values }) => {
        const isAbsent = operator === 'Null' && values.includes('true');
        const flag = flagFor(key, { writtenKey, value: isAbsent ? undefined : values[0] });
        if (flag === undefined || !(isAbsent || UNLESS.includes(operator))) return [];
        const what = isAbsent ? `without ${key}` : `whose ${key} is not ${values.join(' or ')}`;
        return [{ found: `${nameOf(statement)} denies puts ${what}`, remedy: `Put with ${flag}` }];
      }),
    );
}

function isOfPuts(action: unknown): boolean {
  return [action].flat().some((one) => /^(\*|s3:\*|s3:put\*|s3:putobject\*?)$/i.test(String(one)));
}

/** Without a value any will do. */
function flagFor(
  key: string,
  { writtenKey, value }: { writtenKey: string; value: string | undefined },
): string | undefined {
  if (key === SSE) return `--sse ${value === undefined ? 's3, kms or dsse' : (MODES[value] ?? value)}`;
  if (key === `${SSE}-aws-kms-key-id`) return `--sse kms:${value ?? 'KEY'}`;
  // The names of tags are told apart by case, unlike what stands before them.
  const [, tag] = /^s3:requestobjecttag\/(.+)$/i.exec(writtenKey) ?? [];
  return tag && `--tag ${tag}=${value ?? 'VALUE'}`;
}
