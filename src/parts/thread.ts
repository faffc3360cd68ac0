/**
 * A thread's side: takes tasks, keeps what tasks share (buffers, one store per bucket or directory), and turns every
 * outcome into data. Several tasks run at once in a thread: while one waits for the network another seals.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { SealiftError } from '../errors.ts';
import type { Intent } from '../ledger/types.ts';
import { Bandwidth } from '../limits/bandwidth.ts';
import type { Retry } from '../network.ts';
import { openParts, openStore } from '../stores/open.ts';
import { BufferPool } from './buffers.ts';
import { type CarryLink, carryObjects, type OpenedObject, type Question } from './carry-objects.ts';
import { openPart } from './open-part.ts';
import { type Opened, OpenedStores } from './opened-stores.ts';
import { type KeyRequest, type RestoreLink, restoreObjects } from './restore-objects.ts';
import { sealPart } from './seal-part.ts';
import { sendObjects } from './send-objects.ts';
import { type Stopwatch, stopwatch } from './stopwatch.ts';
import type {
  Announced,
  AnyReceipt,
  Link,
  OpenLink,
  PartSource,
  PartTask,
  Shown,
  TaskAnswer,
  ThreadData,
  Timed,
} from './task.ts';

export interface ThreadCall {
  task: PartTask;
  /** Where intents go up and the go comes down. */
  port: MessagePort;
}

const { limit } = workerData as ThreadData;
const bandwidth = limit && new Bandwidth(limit);
const buffers = new BufferPool();
/** A thread that has had nothing to do for so long gives its buffers back: no lane has a ticket for them. */
const IDLE_MS = 200;
let running = 0;
let idle: NodeJS.Timeout | undefined;

const aids = { onRetry: tellRetry, bandwidth };
/** Parts do without the SDK, which whole objects are sent with. */
const partStores = new OpenedStores(openParts, aids);
const wholeStores = new OpenedStores(openStore, aids);

export async function runTask({ task, port }: ThreadCall): Promise<TaskAnswer<AnyReceipt & Timed>> {
  const link = new PortLink(port, stopwatch({ runs: task.profiled }));
  running++;
  clearTimeout(idle);
  try {
    const receipt = await receiptOf(task, link);
    return { value: { ...receipt, stages: link.watch.stop() } };
  } catch (error) {
    return { error: SealiftError.from(error).toJSON() };
  } finally {
    port.close();
    if (--running === 0) idle = setTimeout(() => buffers.clear(), IDLE_MS);
  }
}

async function receiptOf(task: PartTask, link: PortLink): Promise<AnyReceipt> {
  switch (task.kind) {
    case 'send':
      return sendObjects(task, { ...(await desk(wholeStores, task)), buffers, link });
    case 'restore':
      return restoreObjects(task, { store: await wholeStores.for(task.store), link });
    case 'carry': {
      const [store, from] = [await wholeStores.for(task.store), await wholeStores.for(task.from)];
      return carryObjects(task, { store, from, buffers, link });
    }
    case 'open':
      return openPart(task, await partStores.for(task.store), buffers, link);
    case 'seal': {
      const { store, sourceStore } = await desk(partStores, task);
      return sealPart(task, { store, from: await sourceStore(task.source) }, link, buffers);
    }
  }
}

/** A task's store, and where an object is that is sealed. */
async function desk<Kind extends Opened<Kind>>(stores: OpenedStores<Kind>, task: PartTask) {
  const store = await stores.for(task.store);
  const sourceStore = async (source: PartSource) => ('object' in source ? await stores.for(source.store) : store);
  return { store, sourceStore };
}

/** Goes up beside the tasks' ports: connections, and so their trouble, are those of several tasks. */
function tellRetry(retry: Retry): void {
  parentPort?.postMessage(retry);
}

/** The thread's end of a task's port: intents, opened bytes or questions go up on it, the answer to them or a cut comes down. */
class PortLink implements Link, OpenLink, CarryLink {
  readonly isElsewhere = true;
  readonly watch: Stopwatch;
  readonly #port: MessagePort;
  readonly #cut = new AbortController();
  #onAnswer: ((answer: TaskAnswer<unknown>) => void) | undefined;

  constructor(port: MessagePort, watch: Stopwatch) {
    this.#port = port;
    this.watch = watch;
    port.on('message', (message: TaskAnswer<unknown> | 'cut') => {
      if (message === 'cut') this.#cut.abort();
      else this.#onAnswer?.(message);
    });
  }

  get cut(): AbortSignal {
    return this.#cut.signal;
  }

  async announce(part: Announced): Promise<Intent> {
    return (await this.#ask(part)) as Intent;
  }

  async show(plain: Uint8Array, hash: Uint8Array | undefined): Promise<void> {
    await this.#ask({ plain, hash });
  }

  async unlock(requests: readonly KeyRequest[]): ReturnType<RestoreLink['unlock']> {
    return (await this.#ask({ unlock: requests })) as Awaited<ReturnType<RestoreLink['unlock']>>;
  }

  async prepare(opened: readonly OpenedObject[]): ReturnType<CarryLink['prepare']> {
    return (await this.#ask({ prepare: opened })) as Awaited<ReturnType<CarryLink['prepare']>>;
  }

  #ask(message: Announced | Shown | Question): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#onAnswer = (answer) =>
        'value' in answer ? resolve(answer.value) : reject(SealiftError.revive(answer.error));
      this.#port.postMessage(message);
    });
  }
}
