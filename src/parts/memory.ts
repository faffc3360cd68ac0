/**
 * Memory is a budget: `--max-memory` is the process's resident size. What is left after the base (the runtime, the
 * SDK, one more of it in every thread) is cut into tickets, one a lane, and a lane takes its ticket before it reads.
 * The figures were measured on Linux with Node 24 (bench/process/memory.ts prints them again).
 */
import { availableParallelism } from 'node:os';
import { SealiftError } from '../errors.ts';
import type { LaneRange } from '../limits/allowance.ts';
import { formatSize, MiB } from '../units.ts';

/** The main thread with the SDK's S3 and KMS clients, the ledger, and its garbage; a long job has some more of that. */
export const BASE_SIZE = 134 * MiB;
/** A thread: its isolate, its copy of the SDK, its garbage. */
export const THREAD_SIZE = 42 * MiB;
/** The hashing thread: an isolate with nothing but Node's own modules. */
export const HASH_THREAD_SIZE = 30 * MiB;
/**
 * Very many small objects carried from store to store beside large ones: the SDK's HEADs and tags in each thread, and what
 * the main thread is asked and answers (test/long/migrate-round.test.ts).
 */
export const CARRY_SIZE = 96 * MiB;
/** A lane holds its part; what TLS and the SDK hold of it at a time, and its share of the garbage, is less. */
const LANE_FACTOR = 1.5;

const DEFAULT_MAX_MEMORY = 512 * MiB;
const MAX_THREAD_COUNT = 8;
/** Enough to keep a thread busy on a short line; more are begun where they gain something. */
const FIRST_LANES_PER_THREAD = 4;
/** A longer line than the world has needs no more; and each has a connection of its own. */
const MOST_LANES_PER_THREAD = 16;

/** What a lane with a part of `partSize` sealed bytes takes from the budget. */
export function laneSizeOf(partSize: number): number {
  return Math.ceil(partSize * LANE_FACTOR);
}

/** A lane fed by a pipe holds the plain bytes too, until they are sealed. Sealed ones are at most 1/32 more. */
const PIPE_LANE_FACTOR = 1 + LANE_FACTOR * (33 / 32);

/** As `laneSizeOf`, of a pipe's part of `plainSize` bytes. */
export function pipeLaneSizeOf(plainSize: number): number {
  return Math.ceil(plainSize * PIPE_LANE_FACTOR);
}

/** What neither threads nor lanes take. */
function baseSizeOf({ signs, carries }: Pick<MemoryRequest, 'signs' | 'carries'>): number {
  return BASE_SIZE + (signs ? HASH_THREAD_SIZE : 0) + (carries ? CARRY_SIZE : 0);
}

/**
 * When parts grow, those before leave something behind: blocks of up to 32 MiB that were freed stay with malloc for a
 * while. Plain and sealed, each of half the size, are as much as one new part.
 */
const LEFT_BEHIND_FACTOR = 1;

/** The largest part to which a pipe's can grow, when one lane has all the room there is. */
export function mostPipePartOf({ maxMemory, signs, threadCount }: MemoryPlan): number {
  const room = maxMemory - baseSizeOf({ signs }) - threadCount * THREAD_SIZE;
  return Math.floor(room / (PIPE_LANE_FACTOR + LEFT_BEHIND_FACTOR));
}

export interface MemoryRequest {
  /** Resident bytes of the whole process at most. */
  maxMemory?: number | undefined;
  threadCount?: number | undefined;
  laneCount?: number | undefined;
  /** There is a hashing thread, or will be. */
  signs?: boolean | undefined;
  /** Small objects are carried from store to store. */
  carries?: boolean | undefined;
}

export interface MemoryPlan {
  maxMemory: number;
  /** There is a hashing thread. */
  signs?: boolean | undefined;
  threadCount: number;
  /** Parts in flight, over all threads: exactly so many where the user has said so. */
  lanes: LaneRange;
}

/** The cap where the user names none: 512 MiB, or three quarters of a smaller container. */
export function defaultMaxMemory(constrained = process.constrainedMemory()): number {
  return constrained > 0 ? Math.min(DEFAULT_MAX_MEMORY, Math.floor(constrained * 0.75)) : DEFAULT_MAX_MEMORY;
}

/**
 * How many threads and lanes of `laneSize` bytes fit. Throws `memory-too-small`, naming the least that works, where not
 * even one lane fits or where the user's own counts do not.
 */
export function planMemory(request: MemoryRequest, laneSize: number): MemoryPlan {
  const maxMemory = request.maxMemory ?? defaultMaxMemory();
  const baseSize = baseSizeOf(request);
  const need = (threads: number, lanes: number) => baseSize + threads * THREAD_SIZE + lanes * laneSize;

  let threadCount = request.threadCount ?? Math.min(availableParallelism(), MAX_THREAD_COUNT);
  if (request.laneCount !== undefined) threadCount = Math.min(threadCount, request.laneCount);
  while (request.threadCount === undefined && threadCount > 1 && need(threadCount, threadCount) > maxMemory)
    threadCount--;

  const room = Math.floor((maxMemory - need(threadCount, 0)) / laneSize);
  const most = request.laneCount ?? Math.min(threadCount * MOST_LANES_PER_THREAD, room);
  const start = request.laneCount ?? Math.min(threadCount * FIRST_LANES_PER_THREAD, room);
  const least = need(threadCount, Math.max(request.laneCount ?? 1, 1));
  if (most < 1 || most > room) {
    throw new SealiftError(
      'memory-too-small',
      `${formatSize(maxMemory)} of memory is too little: the least that works is ${Math.ceil(least / MiB)} MiB`,
      { hint: `Give --max-memory ${Math.ceil(least / MiB)}MiB or more, or fewer --threads and --lanes.` },
    );
  }
  const lanes = { least: request.laneCount ?? 1, start, most };
  return { maxMemory, signs: request.signs, threadCount, lanes };
}

/** Hands out the bytes that the process and its threads leave, first come first served. */
export class MemoryBudget {
  /** The whole process's. */
  readonly maxMemory: number;
  /** All there is for parts; more than that never comes. */
  #size: number;
  #free: number;
  #waiting: { size: number; resolve: () => void; reject: (error: unknown) => void }[] = [];

  constructor({ maxMemory }: Pick<MemoryPlan, 'maxMemory'>) {
    this.maxMemory = maxMemory;
    this.#size = this.#free = maxMemory - BASE_SIZE;
  }

  /** Threads take their share when they start, for as long as they live. Who waits for more than is left is refused. */
  startThreads(count: number): void {
    this.#shrink(count * THREAD_SIZE);
  }

  /** As `startThreads`. */
  startHashThread(): void {
    this.#shrink(HASH_THREAD_SIZE);
  }

  /** As `startThreads`. */
  startCarrying(): void {
    this.#shrink(CARRY_SIZE);
  }

  #shrink(taken: number): void {
    this.#size -= taken;
    this.#free -= taken;
    const hopeless = this.#waiting.filter(({ size }) => size > this.#size);
    this.#waiting = this.#waiting.filter(({ size }) => size <= this.#size);
    for (const { size, reject } of hopeless) reject(this.#tooSmall(size));
  }

  /** Whether `take` could ever give so much. */
  fits(size: number): boolean {
    return size <= this.#size;
  }

  /** Throws `memory-too-small`, naming the least that works, where `take` could never give so much. */
  check(size: number): void {
    if (!this.fits(size)) throw this.#tooSmall(size);
  }

  #tooSmall(size: number): SealiftError {
    const least = this.maxMemory + size - this.#size;
    return new SealiftError(
      'memory-too-small',
      `${formatSize(this.maxMemory)} of memory has no room for ${formatSize(size)} held at once`,
      { hint: `Give --max-memory ${Math.ceil(least / MiB)}MiB or more.` },
    );
  }

  /** Resolves once `size` bytes are the caller's; disposing of the ticket gives them back. Throws as `check` does. */
  async take(size: number): Promise<Disposable> {
    this.check(size);
    if (this.#waiting.length > 0 || size > this.#free) {
      await new Promise<void>((resolve, reject) => this.#waiting.push({ size, resolve, reject }));
    } else {
      this.#free -= size;
    }
    return { [Symbol.dispose]: () => this.#giveBack(size) };
  }

  #giveBack(size: number): void {
    this.#free += size;
    while (this.#waiting[0] && this.#waiting[0].size <= this.#free) {
      const { size: next, resolve } = this.#waiting.shift()!;
      this.#free -= next;
      resolve();
    }
  }
}
