/**
 * The pool of threads, seen from the main thread. A task goes down with a port of its own; intents come up on it and
 * the ledger's answer goes down. Threads start when the first task comes and stay until `close`.
 */
import module from 'node:module';
import { dirname, extname } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { FixedQueue, Piscina } from 'piscina';
import { SealiftError } from '../errors.ts';
import type { Receipt } from '../ledger/types.ts';
import type { SharedBandwidth } from '../limits/bandwidth.ts';
import type { Retry } from '../network.ts';
import type { CarriedObject, CarryAnswers, CarryReceipt, CarryTask, Question } from './carry-objects.ts';
import type { KeyRequest, RestoredObject, RestoreLink, RestoreReceipt, RestoreTask } from './restore-objects.ts';
import type {
  Announced,
  AnyReceipt,
  Link,
  OpenLink,
  OpenReceipt,
  OpenTask,
  PartTask,
  SealTask,
  SendReceipt,
  SendTask,
  SentObject,
  Shown,
  TaskAnswer,
  ThreadData,
  Timed,
} from './task.ts';

/**
 * The heap of a thread. Parts live outside it, and what the SDK keeps is some 20 MB. A larger young generation only
 * costs memory; and with no limit to the old one V8 lets the garbage of a long job pile up before it looks for any.
 */
const HEAP_LIMITS = { maxYoungGenerationSizeMb: 3, maxOldGenerationSizeMb: 64 };

export interface ThreadsOptions {
  count: number;
  laneCount: number;
  onRetry?: ((retry: Retry) => void) | undefined;
  limit?: SharedBandwidth | undefined;
}

export class Threads {
  readonly count: number;
  readonly #pool: Piscina;

  /**
   * `laneCount` is what one job may have in flight; tasks of further jobs wait. `onRetry` hears of requests made again;
   * the bytes of all threads keep to `limit`.
   */
  constructor({ count, laneCount, onRetry = () => {}, limit }: ThreadsOptions) {
    this.count = count;
    const workerData: ThreadData = { limit };
    this.#pool = new Piscina({
      filename: workerUrl(),
      minThreads: count,
      maxThreads: count,
      concurrentTasksPerWorker: Math.ceil(laneCount / count),
      // Workers hold sockets: they must never sleep in Atomics.wait, nor be taken down between tasks.
      atomics: 'disabled',
      idleTimeout: Number.POSITIVE_INFINITY,
      // Every task holds a ticket of the memory budget, which is what bounds the queue.
      maxQueue: Number.POSITIVE_INFINITY,
      taskQueue: new FixedQueue(),
      recordTiming: false,
      env: threadEnvironment(),
      resourceLimits: HEAP_LIMITS,
      workerData,
    });
    this.#pool.on('message', onRetry);
  }

  /**
   * Seals and sends one part, until `cut`. The task is handed over before this returns. `announce` must resolve only when
   * the intent is on disk.
   */
  async seal(task: SealTask, announce: Link['announce'], cut?: AbortSignal): Promise<Receipt & Timed> {
    return (await this.#run(task, cut, (part) => announce(part as Announced))) as Receipt & Timed;
  }

  /** Opens one part, until `cut`. What is to be shown is in the thread's memory, and stays as it is until `show` resolves. */
  async open(task: OpenTask, show: OpenLink['show'], cut?: AbortSignal): Promise<OpenReceipt & Timed> {
    let failure: { error: unknown } | undefined;
    try {
      return (await this.#run(task, cut, (shown) => {
        const { plain, hash } = shown as Shown;
        return show(plain, hash).catch((error) => {
          failure = { error };
          throw error;
        });
      })) as OpenReceipt & Timed;
    } catch (error) {
      // As it was thrown here, not as it came back.
      throw failure ? failure.error : error;
    }
  }

  /** Seals and sends small objects, until `cut`. */
  async send(task: SendTask, cut?: AbortSignal): Promise<SentObject[]> {
    const { sent } = (await this.#run(task, cut, async () => undefined)) as SendReceipt;
    return sent;
  }

  /** Restores small objects, until `cut`. Their keys are asked for by `unlock`. */
  async restore(task: RestoreTask, unlock: RestoreLink['unlock'], cut?: AbortSignal): Promise<RestoredObject[]> {
    const receipt = await this.#run(task, cut, (asked) => unlock((asked as { unlock: KeyRequest[] }).unlock));
    return (receipt as RestoreReceipt).restored;
  }

  /** Opens small objects where they are sealed, seals them anew, and sends them, until `cut`. */
  async carry(task: CarryTask, { unlock, prepare }: CarryAnswers, cut?: AbortSignal): Promise<CarriedObject[]> {
    const receipt = await this.#run(task, cut, (asked) => {
      const question = asked as Question;
      return 'unlock' in question ? unlock(question.unlock) : prepare(question.prepare);
    });
    return (receipt as CarryReceipt).carried;
  }

  /** Stops the threads at once, whatever they do. Callers wait for their lanes first. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #run(
    task: PartTask,
    cut: AbortSignal | undefined,
    onMessage: (message: unknown) => Promise<unknown>,
  ): Promise<AnyReceipt & Timed> {
    if (cut?.aborted) throw SealiftError.interrupted(cut, 'A part that had not begun');
    const { port1, port2 } = new MessageChannel();
    const reply = (answer: TaskAnswer<unknown>) => port1.postMessage(answer);
    port1.on('message', (message) => {
      onMessage(message).then(
        (value) => reply({ value }),
        (error) => reply({ error: SealiftError.from(error).toJSON() }),
      );
    });
    const onCut = () => port1.postMessage('cut');
    cut?.addEventListener('abort', onCut);
    try {
      const answer: TaskAnswer<AnyReceipt & Timed> = await this.#pool.run(
        { task, port: port2 },
        { transferList: [port2, ...buffersOf(task)] },
      );
      if ('error' in answer) throw SealiftError.revive(answer.error);
      return answer.value;
    } finally {
      cut?.removeEventListener('abort', onCut);
    }
  }
}

/** What is moved to the thread with its task. */
function buffersOf(task: PartTask): ArrayBuffer[] {
  return task.kind === 'seal' && 'plain' in task.source ? [task.source.plain.buffer] : [];
}

/** This process's environment. Threads look there for the compile cache, which is handed on where one is in use. */
export function threadEnvironment(): NodeJS.ProcessEnv {
  const cache = module.getCompileCacheDir();
  // It is a folder for this version of Node within the one that was named.
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) };
}

/** The worker's file beside this one: TypeScript in a checkout, JavaScript in the package. */
function workerUrl(): string {
  return new URL(`../../workers/part${extname(import.meta.filename)}`, import.meta.url).href;
}
