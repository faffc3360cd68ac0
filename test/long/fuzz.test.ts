/**
 * A million changed messages, half of them changed behind their tags. SEALIFT_FUZZ_COUNT and SEALIFT_FUZZ_SEED make it
 * another run; what it finds is told with a seed that repeats it alone.
 */
import { expect, test } from 'vitest';
import { fuzz } from '../formats/fuzz.ts';
import { HARMLESS, LIES } from '../formats/lies.ts';

/** Some 20 minutes on an idle machine. */
const TIMEOUT_MS = 7_200_000;

const count = Number(process.env.SEALIFT_FUZZ_COUNT ?? 1_000_000);
const seed = Number(process.env.SEALIFT_FUZZ_SEED ?? 20_261_124);

test(
  `${count} changed messages are refused with a code, or open to what was sealed`,
  () => {
    const { opened, refused, codes, refusedBy } = fuzz({ seed, count });
    console.log(JSON.stringify({ seed, count, opened, refused, codes }));
    // Every kind of lie was told, and told so that it was noticed.
    expect(Object.keys(LIES).filter((name) => !refusedBy[name] && !HARMLESS.has(name))).toEqual([]);
  },
  TIMEOUT_MS,
);
