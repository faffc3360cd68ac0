/**
 * How fast frames are sealed and opened: `node bench/frames.ts`. One part of 8 MiB at a time, in memory, on one thread.
 * Wall time is benchmark's; CPU time counts all threads of the process over the same cycles.
 */
import Benchmark from 'benchmark';
import { deriveMessageKeys } from '../src/formats/esdk/keys.ts';
import { DEFAULT_PART_SIZE, type Layout, partOf } from '../src/formats/esdk/layout.ts';
import { FrameOpener } from '../src/formats/esdk/open-frames.ts';
import { planLayout } from '../src/formats/esdk/plan.ts';
import { PartSealer } from '../src/formats/esdk/seal-frames.ts';
import { GiB, KiB, MiB } from '../src/units.ts';

const messageId = Buffer.alloc(32, 1);
const keys = deriveMessageKeys({ dataKey: Buffer.alloc(32, 2), messageId });
const plain = Buffer.alloc(DEFAULT_PART_SIZE, 3);
/** What a file read and what a socket gives at once. */
const READ_SIZE = MiB;
const SOCKET_SIZE = 64 * KiB;

function seal(layout: Layout, sealed: Buffer): void {
  const sealer = new PartSealer({ keys, messageId, layout, frames: partOf(layout, 1).frames, sealed, offset: 0 });
  for (let start = 0; start < plain.length; start += READ_SIZE) sealer.push(plain.subarray(start, start + READ_SIZE));
  sealer.finish();
}

function open(layout: Layout, sealed: Buffer, target: Buffer): void {
  const lastFrame = layout.frameCount;
  const opener = new FrameOpener({ keys, messageId, layout, firstFrame: 1, lastFrame, plain: target, offset: 0 });
  for (let start = 0; start < sealed.length; start += SOCKET_SIZE)
    opener.push(sealed.subarray(start, start + SOCKET_SIZE));
  opener.finish();
}

const suite = new Benchmark.Suite();
for (const frameSize of [4 * KiB, 64 * KiB, 256 * KiB, MiB]) {
  const layout = planLayout({ plainSize: plain.length, frameSize, headerSize: 0 });
  const sealed = Buffer.alloc(layout.sealedSize);
  const target = Buffer.alloc(plain.length);
  seal(layout, sealed);
  suite.add(
    `seal, frames of ${frameSize / KiB} KiB`,
    withCpuTime(() => seal(layout, sealed)),
  );
  suite.add(
    `open, frames of ${frameSize / KiB} KiB`,
    withCpuTime(() => open(layout, sealed, target)),
  );
}

/** A benchmark that also adds up CPU time over all its runs, warm-up included. */
function withCpuTime(run: () => void) {
  let runCount = 0;
  let before = process.cpuUsage();
  return {
    minSamples: 20,
    maxTime: 1,
    onStart: () => {
      before = process.cpuUsage();
    },
    fn: () => {
      run();
      runCount += 1;
    },
    onComplete: ({ target: { name, hz, stats } }: { target: Benchmark }) => {
      const { user, system } = process.cpuUsage(before);
      const cpuSeconds = (user + system) / 1e6 / ((runCount * plain.length) / GiB);
      const rate = ((hz ?? 0) * plain.length) / GiB;
      console.log(`${name}: ${rate.toFixed(2)} GiB/s ± ${stats?.rme.toFixed(1)} %, ${cpuSeconds.toFixed(2)} CPU s/GiB`);
    },
  };
}

suite.run();
