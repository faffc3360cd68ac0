/**
 * The signing of messages, seen from the main thread. Every sealed part is read by the hashing thread, in order, before
 * it is sent. It lies in memory that threads share, which is the one exception to the rule that bytes do not cross
 * threads; its lane's ticket counts it. (Moving the buffers there and back works too, and costs 2 CPU seconds a GiB more:
 * V8 counts what is moved in, and collects garbage in every thread it passes through.)
 *
 * A part waits for those before it, and they never wait for it: tickets are taken in the order of the parts, and tasks
 * are handed to the threads in that order too, so the next part to be hashed is always under way.
 */
import type { KeyObject } from 'node:crypto';
import { extname } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { SealiftError } from '../errors.ts';
import type { HashAnswer, HashCall, HashRequest } from './hash-thread.ts';
import type { Announced } from './task.ts';
import { threadEnvironment } from './threads.ts';
import { Turns } from './turns.ts';

/** The thread keeps a hash and a key a message; its buffers belong to the lanes. */
const HEAP_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 };

/** The one thread that hashes, for all messages that are being signed. */
export class HashThread {
  readonly #worker = new Worker(workerUrl(), { env: threadEnvironment(), resourceLimits: HEAP_LIMITS });
  #cause: unknown;
  #isOver = false;

  constructor() {
    this.#worker.on('error', (error) => {
      this.#cause = error;
    });
    this.#worker.on('exit', () => {
      this.#isOver = true;
    });
    this.#worker.unref();
  }

  /** Begins a message. Dispose of it when it is signed, or will never be. */
  begin(privateKey: KeyObject): Signing {
    const { port1, port2 } = new MessageChannel();
    const signing = new Signing(port1);
    const stop = () => signing.stop(new SealiftError('internal', 'The hashing thread ended', { cause: this.#cause }));
    // Where the thread ends its end of the port closes, and ours with it.
    port1.on('close', stop);
    if (this.#isOver) stop();
    const call: HashCall = { port: port2, privateKey };
    this.#worker.postMessage(call, [port2]);
    return signing;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** One message on its way to a signature. */
export class Signing implements Disposable {
  readonly needsAllBytes = true;
  readonly #port: MessagePort;
  readonly #entrance = new Turns();
  readonly #hashing = new Turns();
  #answer: PromiseWithResolvers<HashAnswer> | undefined;
  #stopped: { reason: unknown } | undefined;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (answer: HashAnswer) => this.#answer?.resolve(answer));
  }

  /** Starts `task` once those of all parts before have started, so that none waits for a thread that waits for it. */
  async enter<Result>(number: number, task: () => Promise<Result>): Promise<Result> {
    await this.#entrance.take(number);
    const result = task();
    this.#entrance.pass();
    return result;
  }

  /** Hashes part `number`, in shared memory, after all before it. The bytes stay as they are until this resolves. */
  async take(number: number, { sealed }: Pick<Announced, 'sealed'>): Promise<void> {
    await this.#hashing.take(number);
    await this.#ask(sealed!);
    this.#hashing.pass();
  }

  /** What follows the last frame, once every part has been hashed. */
  async footer(): Promise<Uint8Array> {
    return (await this.#ask('sign')) as Uint8Array;
  }

  /** The message will not be signed: rejects whoever waits. */
  stop(reason: unknown): void {
    this.#stopped ??= { reason };
    this.#entrance.stop(reason);
    this.#hashing.stop(reason);
    this.#answer?.reject(reason);
  }

  [Symbol.dispose](): void {
    this.#port.close();
  }

  /** One request at a time: parts wait for their turns. */
  async #ask(request: HashRequest): Promise<HashAnswer> {
    if (this.#stopped) throw this.#stopped.reason;
    this.#answer = Promise.withResolvers();
    this.#port.postMessage(request);
    return this.#answer.promise;
  }
}

/** The worker's file: TypeScript in a checkout, JavaScript in the package. */
function workerUrl(): URL {
  return new URL(`../../workers/hash${extname(import.meta.filename)}`, import.meta.url);
}
