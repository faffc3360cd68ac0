/**
 * One data key in the cache: on its way or here, until it is retired. It counts what it was used for and who still
 * waits for it, and zeroes its bytes when it is retired and nobody waits any more.
 */

import { SealiftError } from '../errors.ts';
import { copyDataKey, sealingMaterials } from './data-key.ts';
import type { SealingMaterials } from './keyring.ts';

/** How much one data key may be used. */
export interface KeyLimits {
  maxAgeMs: number;
  maxMessages: number;
  maxBytes: number;
}

/** The longest that a Node timer can wait: some 24 days. No key is kept longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class CacheEntry {
  readonly #limits: KeyLimits;
  readonly #call = new AbortController();
  readonly #materials: Promise<SealingMaterials>;
  readonly #expiry: NodeJS.Timeout;
  #messages = 0;
  #bytes = 0;
  #waiting = 0;
  #retired = false;

  /** Calls `load` at once, and `onExpired` when the key's time is up: the owner then retires the entry. */
  constructor(options: {
    limits: KeyLimits;
    load: (signal: AbortSignal) => Promise<SealingMaterials>;
    onExpired: () => void;
  }) {
    this.#limits = options.limits;
    this.#expiry = setTimeout(options.onExpired, Math.min(this.#limits.maxAgeMs, LONGEST_TIMER_MS)).unref();
    this.#materials = options.load(this.#call.signal);
  }

  /** Whether the key may serve one more object of this size. */
  hasRoomFor(plainSize: number): boolean {
    const { maxMessages, maxBytes } = this.#limits;
    return this.#messages < maxMessages && this.#bytes + plainSize <= maxBytes;
  }

  /** Nobody waits for the key. */
  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  /** Counts one more use, and resolves to copies that the caller owns. Rejects when the call fails or the signal aborts. */
  async take({ plainSize, signal }: { plainSize: number; signal: AbortSignal | undefined }): Promise<SealingMaterials> {
    this.#messages += 1;
    this.#bytes += plainSize;
    this.#waiting += 1;
    try {
      const { dataKey, encryptedDataKeys, made } = await untilAborted(this.#materials, signal);
      return sealingMaterials(copyDataKey(dataKey.bytes), encryptedDataKeys, made);
    } finally {
      this.#waiting -= 1;
      if (this.#retired) this.#zeroWhenIdle();
    }
  }

  /** Ends the entry's life: its owner has let go of it. Those who wait still get their copies. */
  retire(): void {
    this.#retired = true;
    clearTimeout(this.#expiry);
    this.#zeroWhenIdle();
  }

  /** Retires the entry and gives up its call: those who wait are rejected with `reason`. */
  abort(reason: Error): void {
    this.#call.abort(reason);
    this.retire();
  }

  #zeroWhenIdle(): void {
    if (!this.isIdle) return;
    this.#call.abort();
    this.#materials.then(
      (materials) => materials[Symbol.dispose](),
      () => {
        // There is no key. Whoever waited has heard why.
      },
    );
  }
}

async function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(SealiftError.interrupted(signal, 'Waiting for a data key'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
