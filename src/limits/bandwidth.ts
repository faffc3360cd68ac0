/**
 * A cap on the bytes a second of a whole process, shared by its threads: in any span of time at most the rate's worth
 * of it, what 100 ms give, and a slice for each taker.
 *
 * It is a token bucket kept as one number, the moment at which the next byte is due (the virtual scheduling form of the
 * Generic Cell Rate Algorithm, ITU-T I.371). Who takes moves that moment on by what his bytes cost, and sleeps until
 * the moment he found. The number lies in shared memory and is moved by compare-and-exchange, so no thread asks
 * another, and nobody ever blocks: threads that take at once are due one after the other. A bottleneck reservoir, as
 * KMS calls have one, lives on one thread and would cost a message for every slice.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { SealiftError } from '../errors.ts';
import { formatRate, KiB } from '../units.ts';

/** What crosses to other threads; the memory is the same there. */
export interface SharedBandwidth {
  /** Two signed 64-bit integers: nanoseconds on the machine's monotonic clock, and bytes a second, which may change. */
  state: SharedArrayBuffer;
}

const DUE = 0;
const RATE = 1;

export interface Clock {
  /** The same in all threads, and never going back. */
  nowNs(): bigint;
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

/** Less is a slip of the pen: who means 10 MiB and writes 10 would wait for ever. */
const LEAST_RATE = KiB;

/** A busy machine wakes us late; this much of what that cost is caught up. */
const CATCH_UP_NS = 100_000_000n;

/** So many slices a second keep the line even, and of many lanes each one moving. */
const SLICES_PER_SECOND = 64;
/** Larger slices save nothing any more. */
const LARGEST_SLICE = 256 * KiB;

const SYSTEM_CLOCK: Clock = {
  nowNs: () => process.hrtime.bigint(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }),
};

/** Makes the cap that all threads then share. Throws `bad-option` for a rate below 1 KiB/s. */
export function limitBandwidth(bytesPerSecond: number): SharedBandwidth {
  const shared = { state: new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT) };
  changeBandwidth(shared, bytesPerSecond);
  return shared;
}

/** From the next slice on all threads keep to this rate. Throws as `limitBandwidth` does. */
export function changeBandwidth({ state }: SharedBandwidth, bytesPerSecond: number): void {
  if (!(bytesPerSecond >= LEAST_RATE) || !Number.isFinite(bytesPerSecond)) {
    throw new SealiftError(
      'bad-option',
      `The bandwidth must be ${formatRate(LEAST_RATE)} or more, not ${bytesPerSecond} bytes a second`,
      { hint: 'Give --bwlimit with a unit, for example --bwlimit 10MiB/s. A bare number is bytes.' },
    );
  }
  Atomics.store(new BigInt64Array(state), RATE, BigInt(Math.round(bytesPerSecond)));
}

/** One thread's hold on the cap. */
export class Bandwidth {
  readonly #state: BigInt64Array;
  readonly #clock: Clock;

  constructor({ state }: SharedBandwidth, clock: Clock = SYSTEM_CLOCK) {
    this.#state = new BigInt64Array(state);
    this.#clock = clock;
  }

  /** How many bytes to take at once, at most, where one can choose. */
  get sliceSize(): number {
    return Math.min(LARGEST_SLICE, Math.floor(this.#bytesPerSecond / SLICES_PER_SECOND));
  }

  get #bytesPerSecond(): number {
    return Number(Atomics.load(this.#state, RATE));
  }

  /** Resolves when `size` bytes may move. Rejects once the signal aborts; the bytes are then spent all the same. */
  async take(size: number, signal?: AbortSignal): Promise<void> {
    const nowNs = this.#clock.nowNs();
    const waitMs = Number(this.#reserve(size, nowNs) - nowNs) / 1e6;
    // Timers know whole milliseconds. What is left out here is made up for at the next take.
    if (waitMs >= 1) await this.#clock.sleep(waitMs, signal);
  }

  /** Moves the due moment on by what `size` bytes cost; returns where it was, and so when they may move. */
  #reserve(size: number, nowNs: bigint): bigint {
    const costNs = BigInt(Math.ceil(size * (1e9 / this.#bytesPerSecond)));
    const earliest = nowNs - CATCH_UP_NS;
    for (;;) {
      const found = Atomics.load(this.#state, DUE);
      const due = found > earliest ? found : earliest;
      if (Atomics.compareExchange(this.#state, DUE, found, due + costNs) === found) return due;
    }
  }
}
