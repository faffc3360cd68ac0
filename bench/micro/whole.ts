/** What is made of all parts together: the whole's CRC32 from theirs, and the tag of one GCM message from their hashes. */
import { createSecretKey } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { combineCrc32 } from '../../src/formats/crc32.ts';
import { DEFAULT_PART_SIZE } from '../../src/formats/esdk/layout.ts';
import { tagOf } from '../../src/formats/gcm/message.ts';
import { PartSealer } from '../../src/formats/gcm/seal-part.ts';
import type { Case } from '../harness/case.ts';
import { timed } from './timed.ts';

/** As many as an object of 8 GiB has. */
const PART_COUNT = 1024;
const size = DEFAULT_PART_SIZE;

export function wholeCases(): Case[] {
  const part = Buffer.alloc(size, 3);
  const message = { key: createSecretKey(Buffer.alloc(32, 1)), iv: Buffer.alloc(12), additional: Buffer.alloc(5) };
  const hashes = Array.from({ length: PART_COUNT }, (_, index) => ({ size, hash: Buffer.alloc(16, index) }));

  /** A part without bytes: what stands around a part's cipher call. */
  const beginPart = () => {
    new PartSealer({ message, plainOffset: size, plainSize: 0, sealed: part, offset: 0 }).finish();
  };
  const combine = () => {
    for (let number = 1, crc = 0; number <= PART_COUNT; number++) crc = combineCrc32(crc, number, size);
  };
  return [
    timed('CRC32', { bytes: size }, () => void crc32(part)),
    timed('CRC32 of a whole, a part', { count: PART_COUNT }, combine),
    timed('part of a GCM message, begun and ended', { count: 1 }, beginPart),
    timed('tag of a whole GCM message, a part', { count: PART_COUNT }, () => void tagOf(message, hashes)),
  ];
}
