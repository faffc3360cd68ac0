/**
 * The parts of an upload that are on the disk: a file of slots, one a part, at the place its number says. A slot is
 * written once the part's bytes are synced, and emptied before they are written again, so a part that is listed is
 * there whole, whenever the process or the machine stopped.
 *
 *   slot:  number 4 ‖ CRC32 of the part 4 ‖ offset 8 ‖ size 8 ‖ CRC32 of these 24 bytes 4 ‖ 4 unused
 *
 * Thirty-two bytes never cross a sector, and a slot that is not as it was written counts as empty.
 */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { writeAt } from './directory-files.ts';
import type { OpenedFile } from './directory-read.ts';

export interface PlacedPart {
  number: number;
  /** Where the part begins in the object. */
  offset: number;
  size: number;
  crc32: number;
}

/** S3's limit: what fits here fits there. */
export const MAX_PART_NUMBER = 10_000;

const SLOT_SIZE = 32;
const CHECKED_SIZE = 24;

/** Notes that a part is on the disk; returns once that is on the disk too. */
export async function notePart(slots: FileHandle, part: PlacedPart): Promise<void> {
  await writeSlot(slots, part.number, encodeSlot(part));
}

/** Notes that a part is not to be relied on, if it was noted before. */
export async function forgetPart(slots: FileHandle, number: number): Promise<void> {
  const slot = Buffer.alloc(SLOT_SIZE);
  await slots.read(slot, 0, SLOT_SIZE, slotOffset(number));
  if (decodeSlot(slot)) await writeSlot(slots, number, Buffer.alloc(SLOT_SIZE));
}

/** All parts that are on the disk, by number. */
export function readParts(slots: OpenedFile): Map<number, PlacedPart> {
  const bytes = slots.readStart(MAX_PART_NUMBER * SLOT_SIZE);
  const parts = new Map<number, PlacedPart>();
  for (let offset = 0; offset + SLOT_SIZE <= bytes.length; offset += SLOT_SIZE) {
    const part = decodeSlot(bytes.subarray(offset, offset + SLOT_SIZE));
    if (part && slotOffset(part.number) === offset) parts.set(part.number, part);
  }
  return parts;
}

async function writeSlot(slots: FileHandle, number: number, slot: Buffer): Promise<void> {
  await writeAt(slots, slot, slotOffset(number));
  await slots.datasync();
}

function slotOffset(number: number): number {
  return (number - 1) * SLOT_SIZE;
}

function encodeSlot({ number, offset, size, crc32: checksum }: PlacedPart): Buffer {
  const slot = Buffer.alloc(SLOT_SIZE);
  slot.writeUInt32BE(number, 0);
  slot.writeUInt32BE(checksum, 4);
  slot.writeBigUInt64BE(BigInt(offset), 8);
  slot.writeBigUInt64BE(BigInt(size), 16);
  slot.writeUInt32BE(crc32(slot.subarray(0, CHECKED_SIZE)), CHECKED_SIZE);
  return slot;
}

function decodeSlot(slot: Buffer): PlacedPart | undefined {
  const number = slot.readUInt32BE(0);
  if (number === 0 || slot.readUInt32BE(CHECKED_SIZE) !== crc32(slot.subarray(0, CHECKED_SIZE))) return undefined;
  const offset = Number(slot.readBigUInt64BE(8));
  return { number, offset, size: Number(slot.readBigUInt64BE(16)), crc32: slot.readUInt32BE(4) };
}
