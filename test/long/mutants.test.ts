/**
 * The house's safety rules are fixed, and each has a test that was seen to fail with the rule taken out. Here they are
 * seen to: every mutant in test/support/mutants breaks one sentence of one rule, and the tests it names must notice. A
 * mutant that no longer applies to the code fails as well, so that the tables stay true.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buckets } from '../support/mutants/buckets.ts';
import { completion } from '../support/mutants/completion.ts';
import { limits } from '../support/mutants/limits.ts';
import { migrations } from '../support/mutants/migrations.ts';
import { nonces } from '../support/mutants/nonces.ts';
import { release } from '../support/mutants/release.ts';
import { resume } from '../support/mutants/resume.ts';
import { s3ec } from '../support/mutants/s3ec.ts';
import { secrets } from '../support/mutants/secrets.ts';
import { signatures } from '../support/mutants/signatures.ts';
import { unsealed } from '../support/mutants/unsealed.ts';
import { Checkout, isLong, type Mutant, type TestRun } from '../support/mutation.ts';

const RULES: Readonly<Record<string, readonly Mutant[]>> = {
  '1 no nonce seals two plaintexts': [...nonces, ...resume, ...s3ec],
  '2 nothing is completed unchecked': [...completion, ...signatures],
  '3 nothing is released unauthenticated': release,
  'what is not sealed is told from what is': unsealed,
  'a migration writes where it may, and what it knows of': migrations,
  '4, 5 keys in memory only, no plain HTTP': secrets,
  '6, 7 memory is a budget, interrupted is not aborted': limits,
  'a bucket is changed as approved, and spoken to over TLS 1.2': buckets,
};

let checkout: Checkout;
let healthy: TestRun;
const killed: string[] = [];

beforeAll(async () => {
  checkout = new Checkout(join(import.meta.dirname, '../..'));
  const files = [...new Set(Object.values(RULES).flatMap((mutants) => mutants.map((mutant) => mutant.test)))];
  const runs: TestRun[] = [];
  for (const group of [files.filter(isLong), files.filter((file) => !isLong(file))]) {
    runs.push(
      await checkout.run(
        group.map((test) => ({ test })),
        { bail: false },
      ),
    );
  }
  healthy = { passed: runs.flatMap(({ passed }) => passed), failed: runs.flatMap(({ failed }) => failed) };
}, 900_000);

afterAll(() => {
  checkout[Symbol.dispose]();
  console.log(killed.join('\n'));
});

test('without a mutant all of these tests pass', () => {
  expect(healthy.failed).toEqual([]);
  expect(healthy.passed.length).toBeGreaterThan(100);
});

describe.each(Object.entries(RULES))('rule %s', (rule, mutants) => {
  test.each(mutants)('$breaks: noticed', async (mutant) => {
    const { only = '' } = mutant;
    expect(
      healthy.passed.some((name) => new RegExp(only).test(name)),
      `a test is named ${only}`,
    ).toBe(true);
    using _mutated = checkout.mutate(mutant);
    const { failed } = await checkout.run([mutant], { bail: true });
    expect(failed, 'tests that failed').not.toEqual([]);
    killed.push(`${rule} | ${mutant.breaks} | ${mutant.test}: ${failed[0]}`);
  });
});
