/**
 * A million changed messages, more than half of them changed behind their tags. SEALIFT_FUZZ_COUNT and SEALIFT_FUZZ_SEED
 * make it another run; what it finds is told with a seed that repeats it alone. And bugs planted in the readers, each of
 * which a short run must find.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MiB } from '../../src/units.ts';
import { HARMLESS, LIES } from '../formats/lies.ts';
import { runFuzzer } from '../support/fuzzer.ts';
import { parsers } from '../support/mutants/parsers.ts';
import { Checkout } from '../support/mutation.ts';

/** Some 20 minutes on an idle machine. */
const TIMEOUT_MS = 7_200_000;
/** Of the process that reads them all: nothing is kept. Half of it is what Node takes. */
const PEAK_RSS = 512 * MiB;

const root = join(import.meta.dirname, '../..');
const count = Number(process.env.SEALIFT_FUZZ_COUNT ?? 1_000_000);
const seed = Number(process.env.SEALIFT_FUZZ_SEED ?? 20_261_124);

/** Code in the readers' files that writers or keyrings call, or who cuts an object into parts. */
const WRITERS = new Set(
  'checkEncryptionContext encodedSize badContext encodeHeader sized u32 deriveVaultKey SignatureMaker publicKeyText frameCountFor spanOf sealedSizeOfParts partOf frameAt encodeContextByDictionary'.split(
    ' ',
  ),
);
/** Callers' mistakes, and what takes 2^32 frames. */
const OUT_OF_REACH = /throw new RangeError|there are more frames than a message can have/;

test(
  `${count} changed messages are refused with a code, or open to what was sealed`,
  async () => {
    const { report, error } = await runFuzzer(root, { seed, count, silenceMs: 300_000 });
    expect(error).toBe('');
    const { refusedBy, coverage, ...counts } = report!;
    const missed = coverage.unreached.filter(({ within, text }) => !WRITERS.has(within) && !OUT_OF_REACH.test(text));
    const { blocks, reached, unreached } = coverage;
    console.log(JSON.stringify({ seed, count, ...counts, blocks, reached, outOfReach: unreached.length }));
    expect(missed, 'code that no message reached').toEqual([]);
    expect(counts.lies).toBeGreaterThan(count / 2);
    expect(counts.peakRssBytes).toBeLessThan(PEAK_RSS);
    // Every kind of lie was told, and told so that it was noticed.
    expect(Object.keys(LIES).filter((name) => !refusedBy[name] && !HARMLESS.has(name))).toEqual([]);
  },
  TIMEOUT_MS,
);

let checkout: Checkout;
beforeAll(() => {
  checkout = new Checkout(root);
});
afterAll(() => checkout[Symbol.dispose]());

test.each(parsers)('a planted bug is found: $breaks', async (mutant) => {
  using _mutated = checkout.mutate(mutant);
  const { error } = await runFuzzer(checkout.root, { seed: 1, count: 20_000, silenceMs: 30_000 });
  expect(error).toMatch(/seed \d+: /);
  console.log(`${mutant.breaks}: ${error.split('\n').find((line) => line.includes('seed'))}`);
});
