/**
 * Memory is a budget: `--max-memory` is the process's resident size. What is left after the base (the runtime, the
 * SDK, one more of it in every thread) is cut into tickets, one a lane, and a lane takes its ticket before it reads.
 * The figures were measured on Linux with Node 24 (bench/memory.ts prints them again).
 */
import { availableParallelism } from 'node:os';
import { SealiftError } from '../errors.ts';
import { formatSize, MiB } from '../units.ts';

/** The main thread with the SDK's S3 and KMS clients, the ledger, and its garbage. */
const BASE_SIZE = 96 * MiB;
/** A thread: its isolate, its copy of the SDK, its garbage. */
const THREAD_SIZE = 40 * MiB;
/** A lane holds its part, and TLS holds most of the part once more, sealed again for the socket. */
const LANE_FACTOR = 2.5;

const DEFAULT_MAX_MEMORY = 512 * MiB;
const MAX_THREAD_COUNT = 8;
const DEFAULT_LANES_PER_THREAD = 3;

/** What a lane with a part of `partSize` sealed bytes takes from the budget. */
export function laneSizeOf(partSize: number): number {
  return Math.ceil(partSize * LANE_FACTOR);
}

/** Bytes for lanes: what the process and its threads leave. */
export function roomForLanes({ maxMemory, threadCount }: Pick<MemoryPlan, 'maxMemory' | 'threadCount'>): number {
  return maxMemory - BASE_SIZE - threadCount * THREAD_SIZE;
}

export interface MemoryRequest {
  /** Resident bytes of the whole process at most. */
  maxMemory?: number | undefined;
  threadCount?: number | undefined;
  laneCount?: number | undefined;
}

export interface MemoryPlan {
  maxMemory: number;
  threadCount: number;
  /** Parts in flight at most, over all threads. */
  laneCount: number;
}

/** The cap where the user names none: 512 MiB, or three quarters of a smaller container. */
export function defaultMaxMemory(constrained = process.constrainedMemory()): number {
  return constrained > 0 ? Math.min(DEFAULT_MAX_MEMORY, Math.floor(constrained * 0.75)) : DEFAULT_MAX_MEMORY;
}

/**
 * How many threads and lanes fit for parts of `partSize` sealed bytes. Throws `memory-too-small`, naming the least
 * that works, where not even one lane fits or where the user's own counts do not.
 */
export function planMemory(request: MemoryRequest, partSize: number): MemoryPlan {
  const maxMemory = request.maxMemory ?? defaultMaxMemory();
  const laneSize = laneSizeOf(partSize);
  const need = (threads: number, lanes: number) => BASE_SIZE + threads * THREAD_SIZE + lanes * laneSize;

  let threadCount = request.threadCount ?? Math.min(availableParallelism(), MAX_THREAD_COUNT);
  if (request.laneCount !== undefined) threadCount = Math.min(threadCount, request.laneCount);
  while (request.threadCount === undefined && threadCount > 1 && need(threadCount, threadCount) > maxMemory)
    threadCount--;

  const room = Math.floor((maxMemory - need(threadCount, 0)) / laneSize);
  const laneCount = request.laneCount ?? Math.min(threadCount * DEFAULT_LANES_PER_THREAD, room);
  const least = need(threadCount, Math.max(request.laneCount ?? 1, 1));
  if (laneCount < 1 || laneCount > room) {
    throw new SealiftError(
      'memory-too-small',
      `${formatSize(maxMemory)} of memory cannot hold ${threadCount} threads and ${Math.max(laneCount, 1)} parts of ${formatSize(partSize)}`,
      { hint: `Give --max-memory ${Math.ceil(least / MiB)}MiB or more, or a smaller --part-size.` },
    );
  }
  return { maxMemory, threadCount, laneCount };
}

/** Hands out bytes of one budget, first come first served. */
export class MemoryBudget {
  readonly size: number;
  #free: number;
  readonly #waiting: { size: number; resolve: () => void }[] = [];

  constructor(size: number) {
    this.size = size;
    this.#free = size;
  }

  /**
   * Resolves once `size` bytes are the caller's; disposing of the ticket gives them back. Throws `memory-too-small`
   * for more than the whole budget, which would never come.
   */
  async take(size: number): Promise<Disposable> {
    if (size > this.size) {
      throw new SealiftError(
        'memory-too-small',
        `${formatSize(size)} do not fit into ${formatSize(this.size)} of memory`,
        {
          hint: `Give a --max-memory that is ${formatSize(size - this.size)} larger.`,
        },
      );
    }
    if (this.#waiting.length > 0 || size > this.#free) {
      await new Promise<void>((resolve) => this.#waiting.push({ size, resolve }));
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
