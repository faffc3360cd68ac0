/**
 * What does one GCM message cost to seal in parts, beside frames? `node bench/s3ec.ts [ROUNDS] [GIB]` seals so much in
 * memory, part by part, on one thread and on two: objects of the S3 Encryption Client, messages of the AWS Encryption SDK,
 * and what the bare cipher takes for as many bytes. All six are measured side by side, round after round, and medians
 * compared: rates of a shared machine say little alone. What it is held to: 1.1 of the frames' CPU time, and 0.9 of what
 * the cipher itself gains by a second thread.
 */
import { createCipheriv, createSecretKey } from 'node:crypto';
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { deriveMessageKeys } from '../src/formats/esdk/keys.ts';
import { DEFAULT_PART_SIZE } from '../src/formats/esdk/layout.ts';
import { planLayout as planFrames } from '../src/formats/esdk/plan.ts';
import { type Message, roomFor, sealerOf } from '../src/formats/message.ts';
import { release } from '../src/formats/release.ts';
import { deriveObjectKeys } from '../src/formats/s3ec/keys.ts';
import { planLayout as planBlocks } from '../src/formats/s3ec/layout.ts';
import { COMMITTING_SUITE } from '../src/formats/s3ec/suites.ts';
import { GiB, KiB, MiB } from '../src/units.ts';

const ROUND_COUNT = Number(process.argv[2] ?? 9);
const PLAIN_SIZE = Number(process.argv[3] ?? 4) * GiB;
/** What a file read gives at once. */
const READ_SIZE = MiB;
const SLICE_SIZE = 256 * KiB;

/** In front of frames: any bytes, as long as a header is. */
const HEADER = Buffer.alloc(400, 4);

const METHODS = ['esdk', 's3ec', 'cipher'] as const;
type Method = (typeof METHODS)[number];

/** So many parts, from the first on, of a message that is long enough. */
interface Work {
  method: Method;
  partCount: number;
}

function messageOf(method: 'esdk' | 's3ec', partCount: number): Message {
  const plainSize = partCount * DEFAULT_PART_SIZE;
  const dataKey = Buffer.alloc(32, 2);
  if (method === 'esdk') {
    const messageId = Buffer.alloc(32, 1);
    const layout = planFrames({
      plainSize,
      frameSize: 256 * KiB,
      partSize: DEFAULT_PART_SIZE,
      headerSize: HEADER.length,
    });
    return { format: 'esdk', layout, messageId, keys: deriveMessageKeys({ dataKey, messageId }) };
  }
  const suite = COMMITTING_SUITE;
  const messageId = Buffer.alloc(suite.messageIdSize, 1);
  const layout = planBlocks({ plainSize, partSize: DEFAULT_PART_SIZE });
  return { format: 's3ec', layout, suite, messageId, keys: deriveObjectKeys({ suite, dataKey, messageId }) };
}

function sealParts(message: Message): void {
  const plain = Buffer.alloc(READ_SIZE, 3);
  const sealed = Buffer.allocUnsafeSlow(2 * DEFAULT_PART_SIZE);
  for (let number = 1; number <= message.layout.partCount; number++) {
    if (roomFor(message, number) > sealed.length) throw new RangeError(`part ${number} has no room`);
    const sealer = sealerOf(message, { number, header: HEADER, sealed });
    for (let left = sealer.range.plainSize; left > 0; left -= READ_SIZE) {
      sealer.push(left < READ_SIZE ? plain.subarray(0, left) : plain);
    }
    sealer.finish();
  }
}

/** What no format can do without: the cipher, in slices that stay in the cache. */
function encrypt(partCount: number): void {
  const plain = Buffer.alloc(SLICE_SIZE, 3);
  const key = createSecretKey(Buffer.alloc(32, 1));
  for (let number = 1; number <= partCount; number++) {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(number);
    const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
    for (let done = 0; done < DEFAULT_PART_SIZE; done += SLICE_SIZE) release(cipher.update(plain));
    cipher.final();
  }
}

function perform({ method, partCount }: Work): void {
  if (method === 'cipher') encrypt(partCount);
  else sealParts(messageOf(method, partCount));
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const spread = (values: number[]) =>
  `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;

interface Figures {
  seconds: number[];
  cpuSeconds: number[];
}

async function main(): Promise<void> {
  const workers = [1, 2].map(() => new Worker(import.meta.filename));
  const partCount = Math.ceil(PLAIN_SIZE / DEFAULT_PART_SIZE / workers.length);
  const figures = new Map<string, Figures>();

  async function measure(method: Method, threads: number): Promise<void> {
    const one = figures.get(`${method} ${threads}`) ?? { seconds: [], cpuSeconds: [] };
    const work: Work = { method, partCount: (partCount * workers.length) / threads };
    const start = performance.now();
    const before = process.cpuUsage();
    const used = workers.slice(0, threads);
    for (const worker of used) worker.postMessage(work);
    await Promise.all(used.map((worker) => once(worker, 'message')));
    const { user, system } = process.cpuUsage(before);
    one.seconds.push((performance.now() - start) / 1000);
    one.cpuSeconds.push((user + system) / 1e6 / (PLAIN_SIZE / GiB));
    figures.set(`${method} ${threads}`, one);
  }

  for (let round = 0; round < ROUND_COUNT; round++) {
    for (const threads of [1, 2]) for (const method of METHODS) await measure(method, threads);
  }
  for (const [name, { seconds, cpuSeconds }] of figures) {
    console.log(`${name} thread(s): ${spread(seconds)} s, ${spread(cpuSeconds)} CPU s/GiB`);
  }
  const pairs = (name: string, other: string, of: keyof Figures) =>
    figures.get(name)![of].map((value, index) => value / figures.get(other)![of][index]!);
  console.log(`CPU time of s3ec over esdk: ${spread(pairs('s3ec 1', 'esdk 1', 'cpuSeconds'))}; held to 1.1`);
  const gains = (method: Method) => pairs(`${method} 1`, `${method} 2`, 'seconds');
  const [ours, bare] = [gains('s3ec'), gains('cipher')];
  console.log(`gain of a second thread: s3ec ${spread(ours)}, esdk ${spread(gains('esdk'))}, cipher ${spread(bare)}`);
  const share = spread(ours.map((gain, index) => gain / bare[index]!));
  console.log(`s3ec's gain over the cipher's: ${share}; held to 0.9`);
  await Promise.all(workers.map((worker) => worker.terminate()));
}

if (isMainThread) {
  await main();
} else {
  parentPort!.on('message', (work: Work) => {
    perform(work);
    parentPort!.postMessage('done');
  });
}
