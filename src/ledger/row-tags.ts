/**
 * How a row proves that it is what we wrote. Rows of an attempt carry a tag, an HMAC under the attempt's ledger key,
 * which no other file of this machine holds. The rows that are needed before there is a key, those of the job and of
 * its attempts, carry a checksum too: against a bad disk, not against a bad person.
 */
import { createHmac, hash, type KeyObject, timingSafeEqual } from 'node:crypto';

type Field = string | number | null | Uint8Array;

/** A row as its checksum and tag see it: the table's name, then every value in the order of the columns. */
export type Row = readonly [table: string, ...Field[]];

/** The same key makes fingerprints: this label keeps the two apart. */
const LABEL = 'sealift ledger row 1';

export function checksumOf(row: Row): Buffer {
  return hash('sha256', textOf(row), 'buffer');
}

export function tagOf(key: KeyObject, row: Row): Buffer {
  return createHmac('sha256', key).update(textOf(row)).digest();
}

/** Constant-time comparison of two blobs; blobs of different sizes are unequal. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Two rows of one table never have the same text: JSON keeps the fields apart, and each has one type. */
function textOf(row: Row): string {
  const fields = row.map((field) => (field instanceof Uint8Array ? Buffer.from(field).toString('hex') : field));
  return JSON.stringify([LABEL, ...fields]);
}
