/**
 * The signing of messages, seen from the main thread. Every sealed part visits the hashing thread, in order, before it is
 * sent: its buffer is moved there and back, so that it has one owner at a time and is counted once, by its lane's ticket.
 * (Memory shared between threads could be read while it is sent; but nobody can give it back, and V8, which does not
 * count it, is in no hurry to.)
 *
 * A part waits for those before it, and they never wait for it: tickets are taken in the order of the parts, and tasks
 * are handed to the threads in that order too, so the next part to be hashed is always under way.
 */
import type { KeyObject } from 'node:crypto';
import { extname } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { SealiftError } from '../errors.ts';
import type { HashCall, HashRequest } from './hash-thread.ts';
import { Turns } from './turns.ts';

/** The thread keeps a hash and a key a message; its buffers belong to the lanes. */
const HEAP_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 };

/** The one thread that hashes, for all messages that are being signed. */
export class HashThread {
  readonly #worker = new Worker(workerUrl(), { resourceLimits: HEAP_LIMITS });

  constructor() {
    // What it cannot do, the messages' ports tell: they close when it ends.
    this.#worker.on('error', () => {});
    this.#worker.unref();
  }

  /** Begins a message. Dispose of it when it is signed, or will never be. */
  begin(privateKey: KeyObject): Signing {
    const { port1, port2 } = new MessageChannel();
    const call: HashCall = { port: port2, privateKey };
    this.#worker.postMessage(call, [port2]);
    return new Signing(port1);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** One message on its way to a signature. */
export class Signing implements Disposable {
  readonly #port: MessagePort;
  readonly #entrance = new Turns();
  readonly #hashing = new Turns();
  #answer: PromiseWithResolvers<Uint8Array<ArrayBuffer>> | undefined;
  #stopped: { reason: unknown } | undefined;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (answer: Uint8Array<ArrayBuffer>) => this.#answer?.resolve(answer));
    port.on('close', () => this.stop(new SealiftError('internal', 'The hashing thread ended')));
  }

  /** Starts `task` once those of all parts before have started, so that none waits for a thread that waits for it. */
  async enter<Result>(number: number, task: () => Promise<Result>): Promise<Result> {
    await this.#entrance.take(number);
    const result = task();
    this.#entrance.pass();
    return result;
  }

  /** Hashes part `number` after all before it. Resolves to the same bytes, in another buffer object. */
  async hash(number: number, sealed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    await this.#hashing.take(number);
    const back = await this.#ask(sealed, [sealed.buffer]);
    this.#hashing.pass();
    return back;
  }

  /** What follows the last frame, once every part has been hashed. */
  footer(): Promise<Uint8Array> {
    return this.#ask('sign', []);
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
  async #ask(request: HashRequest, moved: ArrayBuffer[]): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#stopped) throw this.#stopped.reason;
    this.#answer = Promise.withResolvers();
    this.#port.postMessage(request, moved);
    return this.#answer.promise;
  }
}

/** The worker's file: TypeScript in a checkout, JavaScript in the package. */
function workerUrl(): URL {
  return new URL(`../../workers/hash${extname(import.meta.filename)}`, import.meta.url);
}
