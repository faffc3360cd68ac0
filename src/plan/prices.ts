/**
 * What AWS asks for it, from a table that is as old as its date. Prices differ by Region and contract: a file of the same
 * form takes its place.
 */
import { readFile } from 'node:fs/promises';
import { SealiftError } from '../errors.ts';
import { type Reading, type Requests, turnsOf } from './tally.ts';

/** US dollars. */
export interface PriceTable {
  asOf: string;
  region: string;
  /** Of 1,000 requests that write (PUT, COPY, POST), of 1,000 that read, and of a GB (10^9 bytes) kept for a month. */
  storageClasses: Record<string, { writes: number; reads: number; month: number }>;
  /** Of 10,000 calls of KMS. */
  kmsCalls: number;
  /**
   * Of a GB that leaves a bucket which objects are read from. It depends on where they are read, and is nothing within a
   * Region: without it none is told.
   */
  egress?: number | undefined;
}

/** List prices, from aws.amazon.com/s3/pricing and aws.amazon.com/kms/pricing. */
export const PRICES: PriceTable = {
  asOf: '2025-06-01',
  region: 'us-east-1',
  storageClasses: {
    STANDARD: { writes: 0.005, reads: 0.0004, month: 0.023 },
    INTELLIGENT_TIERING: { writes: 0.005, reads: 0.0004, month: 0.023 },
    STANDARD_IA: { writes: 0.01, reads: 0.001, month: 0.0125 },
    ONEZONE_IA: { writes: 0.01, reads: 0.001, month: 0.01 },
    GLACIER_IR: { writes: 0.02, reads: 0.01, month: 0.004 },
    GLACIER: { writes: 0.03, reads: 0.0004, month: 0.0036 },
    DEEP_ARCHIVE: { writes: 0.05, reads: 0.0004, month: 0.00099 },
  },
  kmsCalls: 0.03,
};

/** What it costs by a table of prices. */
export interface Cost {
  asOf: string;
  region: string;
  storageClass: string;
  /** US dollars, once. */
  requests: number;
  kms: number;
  /** Of what is read from a bucket, where the table has a price for that. */
  egress?: number | undefined;
  /** US dollars a month, as long as it is kept. */
  storagePerMonth: number;
}

interface Billed {
  requests: Requests;
  reading: Reading | undefined;
  kmsCalls: number;
  sealedBytes: number;
}

/** Undefined where the table does not have the storage class, or one of those that are read from. */
export function costOf(
  { requests, reading, kmsCalls, sealedBytes }: Billed,
  { prices, storageClass = 'STANDARD' }: { prices: PriceTable; storageClass?: string | undefined },
): Cost | undefined {
  const row = prices.storageClasses[storageClass];
  if (!row) return undefined;
  const { writes, reads } = turnsOf(requests);
  const readingCost = reading ? costOfReading(reading, prices) : 0;
  if (readingCost === undefined) return undefined;
  return {
    asOf: prices.asOf,
    region: prices.region,
    storageClass,
    requests: (writes * row.writes + reads * row.reads) / 1000 + readingCost,
    kms: (kmsCalls * prices.kmsCalls) / 10_000,
    egress: reading && prices.egress !== undefined ? (reading.bytes / 1e9) * prices.egress : undefined,
    storagePerMonth: (sealedBytes / 1e9) * row.month,
  };
}

/** Listing is billed as writing is. */
function costOfReading({ requests, gets }: Reading, { storageClasses }: PriceTable): number | undefined {
  const { writes, reads } = storageClasses.STANDARD ?? { writes: Number.NaN, reads: Number.NaN };
  const { ListObjectsV2, HeadObject, GetObjectTagging } = requests;
  let cost = (ListObjectsV2 * writes + (HeadObject + GetObjectTagging) * reads) / 1000;
  for (const [name, count] of Object.entries(gets))
    cost += (count * (storageClasses[name]?.reads ?? Number.NaN)) / 1000;
  return Number.isNaN(cost) ? undefined : cost;
}

/**
 * Reads a table of the same form as PRICES. Throws `bad-option`.
 *
 * @example
 * import { writeFile } from 'node:fs/promises';
 * import { PRICES, readPrices } from 'sealift';
 *
 * await writeFile('/data/prices.json', JSON.stringify({ ...PRICES, asOf: '2026-11-24', kmsCalls: 0.02 }));
 * const prices = await readPrices('/data/prices.json'); // for the `prices` of engine.plan
 * console.log(prices.asOf);
 */
export async function readPrices(path: string): Promise<PriceTable> {
  try {
    const table = JSON.parse(await readFile(path, 'utf8')) as PriceTable;
    checkPrices(table);
    return table;
  } catch (error) {
    throw new SealiftError('bad-option', `${path} is no table of prices: ${(error as Error).message}`, {
      hint: 'README, "What it will take", shows its form: every price in it is a number.',
      cause: error,
    });
  }
}

function checkPrices({ asOf, region, storageClasses, kmsCalls, egress = 0 }: PriceTable): void {
  if (typeof asOf !== 'string' || typeof region !== 'string') throw new TypeError('asOf and region must be texts');
  const rows = Object.values(storageClasses);
  const prices = [kmsCalls, egress, ...rows.flatMap(({ writes, reads, month }) => [writes, reads, month])];
  if (rows.length === 0 || !prices.every((price) => Number.isFinite(price) && price >= 0)) {
    throw new TypeError('a price is missing, or is no number');
  }
}
