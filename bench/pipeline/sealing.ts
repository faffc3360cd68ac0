/**
 * A file sealed and sent nowhere: the pool of threads does what it does for a part that a resumed put compares, which is
 * all of a part's life but its sending. The ledger agrees to everything; what it costs is measured by itself.
 */
import { deriveMessageKeys } from '../../src/formats/esdk/keys.ts';
import { DEFAULT_PART_SIZE } from '../../src/formats/esdk/layout.ts';
import { DEFAULT_FRAME_SIZE, planLayout as planFrames } from '../../src/formats/esdk/plan.ts';
import type { Message } from '../../src/formats/message.ts';
import { deriveObjectKeys } from '../../src/formats/s3ec/keys.ts';
import { planLayout as planBlocks } from '../../src/formats/s3ec/layout.ts';
import { COMMITTING_SUITE } from '../../src/formats/s3ec/suites.ts';
import { runLanes } from '../../src/parts/lanes.ts';
import { openSource } from '../../src/parts/source.ts';
import type { SealTask } from '../../src/parts/task.ts';
import { Threads } from '../../src/parts/threads.ts';

const LANES_A_THREAD = 2;
/** In front of frames: any bytes, as long as a header is. */
const HEADER = Buffer.alloc(400, 4);

export type Format = 'esdk' | 's3ec';

function messageOf(format: Format, plainSize: number): Message {
  const partSize = DEFAULT_PART_SIZE;
  const dataKey = Buffer.alloc(32, 2);
  if (format === 'esdk') {
    const messageId = Buffer.alloc(32, 1);
    const layout = planFrames({ plainSize, frameSize: DEFAULT_FRAME_SIZE, partSize, headerSize: HEADER.length });
    return { format, layout, messageId, keys: deriveMessageKeys({ dataKey, messageId }) };
  }
  const suite = COMMITTING_SUITE;
  const messageId = Buffer.alloc(suite.messageIdSize, 1);
  const keys = deriveObjectKeys({ suite, dataKey, messageId });
  return { format, layout: planBlocks({ plainSize, partSize }), suite, messageId, keys };
}

/** So many threads that seal. */
export class Sealing implements AsyncDisposable {
  readonly #threads: Threads;
  readonly #laneCount: number;

  constructor({ threads }: { threads: number }) {
    this.#laneCount = threads * LANES_A_THREAD;
    this.#threads = new Threads({ count: threads, laneCount: this.#laneCount });
  }

  async seal(path: string, format: Format): Promise<void> {
    const { file, identity } = await openSource(path);
    await file.close();
    const message = messageOf(format, identity.size);
    const task: Omit<SealTask, 'number'> = {
      kind: 'seal',
      store: { settings: { directory: '/' }, credentials: undefined, customerKey: undefined },
      message,
      source: identity,
      header: HEADER,
      objectKey: 'nowhere',
      uploadId: 'none',
      held: true,
      compareOnly: true,
      show: false,
      profiled: false,
    };
    await runLanes({
      items: Array(message.layout.partCount).keys(),
      lanes: { count: this.#laneCount },
      work: async (index) =>
        void (await this.#threads.seal({ ...task, number: index + 1 }, async ({ intent }) => intent)),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads.close();
  }
}
