/** GCM messages sealed in one go by `createCipheriv`, and part by part by ours, in any cut and order. */
import { createCipheriv, createHash, createSecretKey, type KeyObject } from 'node:crypto';
import fc from 'fast-check';
import { expect } from 'vitest';
import { type GcmMessage, type HashedPart, tagOf } from '../../src/formats/gcm/message.ts';
import { PartOpener } from '../../src/formats/gcm/open-part.ts';
import { PartSealer } from '../../src/formats/gcm/seal-part.ts';

/** Bytes that look random and are the same in every run. */
export function somePlain(size: number, seed = 0): Buffer {
  const key = createHash('sha256').update(`plain ${seed}`).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

export function someKey(seed = 0): KeyObject {
  return createSecretKey(createHash('sha256').update(`key ${seed}`).digest());
}

/** Sealed bytes and tag, by one call. */
export function sealAtOnce({ key, iv, additional }: GcmMessage, plain: Uint8Array): { sealed: Buffer; tag: Buffer } {
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: 16 });
  cipher.setAAD(additional);
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { sealed, tag: cipher.getAuthTag() };
}

/** `cuts` are where parts end, ascending, the end of the message not among them. */
export interface InParts {
  cuts: readonly number[];
  /** In which order parts are sealed: their indexes. */
  order?: readonly number[];
  /** Bytes given at once. */
  pieceSize?: number;
}

export function sealInParts(message: GcmMessage, plain: Buffer, how: InParts): { sealed: Buffer; tag: Buffer } {
  const sealed = Buffer.alloc(plain.length);
  const parts = eachPart(plain.length, how, (plainOffset, plainSize) => {
    const sealer = new PartSealer({ message, plainOffset, plainSize, sealed, offset: plainOffset });
    for (const piece of pieces(plain.subarray(plainOffset, plainOffset + plainSize), how)) sealer.push(piece);
    return sealer.finish();
  });
  return { sealed, tag: tagOf(message, parts) };
}

/** Plain bytes, and the tag that the sealed ones should have. */
export function openInParts(message: GcmMessage, sealed: Buffer, how: InParts): { plain: Buffer; tag: Buffer } {
  const plain = Buffer.alloc(sealed.length);
  const parts = eachPart(sealed.length, how, (plainOffset, plainSize) => {
    const opener = new PartOpener({ message, plainOffset, plainSize, plain, offset: plainOffset });
    for (const piece of pieces(sealed.subarray(plainOffset, plainOffset + plainSize), how)) opener.push(piece);
    return opener.finish();
  });
  return { plain, tag: tagOf(message, parts) };
}

function eachPart(size: number, { cuts, order }: InParts, work: (offset: number, size: number) => HashedPart) {
  const starts = [0, ...cuts];
  const parts: HashedPart[] = new Array(starts.length);
  for (const index of order ?? starts.keys()) {
    parts[index] = work(starts[index]!, (cuts[index] ?? size) - starts[index]!);
  }
  return parts;
}

function* pieces(bytes: Buffer, { pieceSize = bytes.length }: InParts) {
  for (let offset = 0; offset < bytes.length; offset += pieceSize) yield bytes.subarray(offset, offset + pieceSize);
}

/** Any message, cut anywhere, its parts in any order, their bytes given in pieces of any size. */
export const anyCase = fc
  .record({
    seed: fc.nat(),
    size: fc.oneof(
      fc.nat(80),
      fc.nat(6000),
      fc.nat(300).map((blocks) => 16 * blocks),
    ),
    iv: fc.uint8Array({ minLength: 12, maxLength: 12 }),
    additional: fc.uint8Array({ maxLength: 50 }),
    pieceSize: fc.integer({ min: 1, max: 7000 }),
    places: fc.array(fc.record({ place: fc.double({ min: 0, max: 1, noNaN: true }), turn: fc.nat() }), {
      maxLength: 12,
    }),
  })
  .map(({ places, ...fixed }) => {
    const cuts = places.map(({ place }) => 16 * Math.floor((place * fixed.size) / 16)).sort((a, b) => a - b);
    const turns = [0, ...places.map(({ turn }) => turn)];
    const order = [...turns.keys()].sort((a, b) => turns[a]! - turns[b]!);
    return { ...fixed, cuts, order };
  });

/** Parts seal to what one call seals to, and open again with the same tag. */
export function checkCase(message: GcmMessage, plain: Buffer, how: InParts): void {
  const expected = sealAtOnce(message, plain);
  const { sealed, tag } = sealInParts(message, plain, how);
  expect(sealed.equals(expected.sealed) && tag.equals(expected.tag)).toBe(true);
  const opened = openInParts(message, sealed, how);
  expect(opened.plain.equals(plain) && opened.tag.equals(expected.tag)).toBe(true);
}
