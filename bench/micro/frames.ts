/** The cipher in slices, alone, and frames around it: one part of 8 MiB at a time, in memory, on one thread. */
import { createCipheriv, createSecretKey } from 'node:crypto';
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { DEFAULT_PART_SIZE, partOf } from '../../src/formats/esdk/layout.ts';
import { FrameOpener } from '../../src/formats/esdk/open-frames.ts';
import { planLayout } from '../../src/formats/esdk/plan.ts';
import { PartSealer } from '../../src/formats/esdk/seal-frames.ts';
import { release } from '../../src/formats/release.ts';
import { formatSize, KiB, MiB } from '../../src/units.ts';
import type { Case } from '../harness/case.ts';
import { timed } from './timed.ts';

const bytes = DEFAULT_PART_SIZE;
/** What a file read and what a socket gives at once. */
const READ_SIZE = MiB;
const SOCKET_SIZE = 64 * KiB;

/** What a part is made of, whatever its frames. */
function materials() {
  const messageId = Buffer.alloc(32, 1);
  return {
    messageId,
    keys: deriveMessageKeys({ dataKey: Buffer.alloc(32, 2), messageId }),
    plain: Buffer.alloc(bytes, 3),
  };
}

export function frameCases(): Case[] {
  const sizes = [4 * KiB, 64 * KiB, 256 * KiB, MiB];
  return [...sizes.slice(1).map(sliceCase), ...sizes.flatMap(casesOf)];
}

/** How much the cipher is given at once: its output is memory of its own each time. */
function sliceCase(size: number): Case {
  const slice = Buffer.alloc(size, 3);
  const key = createSecretKey(Buffer.alloc(32, 1));
  return timed(`cipher, slices of ${formatSize(size)}`, { bytes }, () => {
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12), { authTagLength: 16 });
    for (let done = 0; done < bytes; done += size) release(cipher.update(slice));
    cipher.final();
  });
}

function casesOf(frameSize: number): Case[] {
  const { messageId, keys, plain } = materials();
  const layout = planLayout({ plainSize: bytes, frameSize, headerSize: 0 });
  const sealed = Buffer.alloc(layout.sealedSize);
  const target = Buffer.alloc(bytes);

  function seal(): void {
    const sealer = new PartSealer({ keys, messageId, layout, frames: partOf(layout, 1).frames, sealed, offset: 0 });
    for (let start = 0; start < bytes; start += READ_SIZE) sealer.push(plain.subarray(start, start + READ_SIZE));
    sealer.finish();
  }

  function open(): void {
    const units = { firstFrame: 1, lastFrame: layout.frameCount };
    const opener = new FrameOpener({ keys, messageId, layout, ...units, plain: target, offset: 0 });
    for (let start = 0; start < sealed.length; start += SOCKET_SIZE)
      opener.push(sealed.subarray(start, start + SOCKET_SIZE));
    opener.finish();
  }

  const what = `frames of ${formatSize(frameSize)}`;
  return [
    timed(`seal ${what}`, { bytes }, seal),
    { ...timed(`open ${what}`, { bytes }, open), prepare: async () => seal() },
  ];
}
