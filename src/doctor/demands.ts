/** What a bucket's policy demands of those who write, as far as it is told by what it denies. */
import { conditionsOf, nameOf, statementsOf } from './policy.ts';

const SSE = 's3:x-amz-server-side-encryption';
const MODES: Readonly<Record<string, string>> = { AES256: 's3', 'aws:kms': 'kms', 'aws:kms:dsse': 'dsse' };

/** Each with the flag that meets it. */
export function demandsOf(policy: string | undefined): { found: string; remedy: string }[] {
  return statementsOf(policy)
    .filter(({ Effect, Action }) => Effect === 'Deny' && isOfPuts(Action))
    .flatMap((statement) =>
      conditionsOf(statement.Condition ?? {}).flatMap(({ operator, key, values }) => {
        const remedy = operator === 'StringNotEquals' ? flagFor(key, values[0] ?? '') : undefined;
        if (remedy === undefined) return [];
        return [{ found: `${nameOf(statement)} denies puts whose ${key} is not ${values.join(' or ')}`, remedy }];
      }),
    );
}

function isOfPuts(action: unknown): boolean {
  return [action].flat().some((one) => /^(\*|s3:\*|s3:put\*|s3:putobject\*?)$/i.test(String(one)));
}

function flagFor(key: string, value: string): string | undefined {
  if (key === SSE) return `Put with --sse ${MODES[value] ?? value}`;
  if (key === `${SSE}-aws-kms-key-id`) return `Put with --sse kms:${value}`;
  const [, tag] = /^s3:requestobjecttag\/(.+)$/.exec(key) ?? [];
  return tag && `Put with --tag ${tag}=${value}`;
}
